"""Steps along a chain of rooms valued by a net that learns from remembered steps and a slow copy of itself."""

from collections import deque


def program(torch, data):
    import copy

    nn = torch.nn
    rooms = 8
    online = data.start(nn.Sequential(nn.Linear(rooms, 24), nn.ReLU(), nn.Linear(24, 2)))
    slow = copy.deepcopy(online)
    optimizer = torch.optim.AdamW(online.parameters(), lr=5e-3, amsgrad=True)
    memory = deque(maxlen=500)
    seen = torch.eye(rooms)
    room = 0
    while True:
        for _ in range(24):
            with torch.no_grad():
                greedy = online(seen[room]).max(0).indices.item()
            action = greedy if data.random.random() > 0.3 else int(data.random.integers(2))
            after = min(rooms - 1, room + 1) if action else max(0, room - 1)
            reward = 1.0 if after == rooms - 1 else 0.01 * (after == 0)
            memory.append((room, action, after, reward))
            room = 0 if after == rooms - 1 else after
        chosen = [memory[i] for i in data.random.integers(len(memory), size=32)]
        before, actions, after, rewards = (torch.tensor(column) for column in zip(*chosen, strict=True))
        values = online(seen[before]).gather(1, actions.unsqueeze(1))
        ended = after == rooms - 1
        ahead = torch.zeros(32)
        with torch.no_grad():
            ahead[~ended] = slow(seen[after[~ended]]).max(1).values
        loss = nn.SmoothL1Loss()(values, (rewards + 0.9 * ahead).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(online.parameters(), 100)
        optimizer.step()
        state, target = online.state_dict(), slow.state_dict()
        for key in state:
            target[key] = state[key] * 0.05 + target[key] * 0.95
        slow.load_state_dict(target)
        yield loss.item()
