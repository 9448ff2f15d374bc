"""A point pushed to the middle of a plane by PPO, with bells over two directions as its policy (Schulman et al. 2017)."""


def program(torch, data):
    nn = torch.nn
    distributions = torch.distributions

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.critic = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 1))
            self.actor = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
            self.spread = nn.Parameter(torch.full((1, 2), -0.5))

        def forward(self, place):
            mean = self.actor(place)
            policy = distributions.Independent(
                distributions.Normal(mean, self.spread.exp().expand_as(mean)), 1
            )
            return policy, self.critic(place).squeeze(-1)

    agent = data.start(Agent())
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3, eps=1e-5)
    while True:
        place = data.normal(8, 2) * 2
        seen = []
        with torch.no_grad():
            for _ in range(10):
                policy, value = agent(place)
                action = policy.mean + policy.base_dist.scale * data.normal(8, 2)
                after = place + 0.5 * action.clamp(-1, 1)
                seen.append((place, action, policy.log_prob(action), -after.norm(dim=1), value))
                place = after
            _, ahead = agent(place)
        places, actions, before, rewards, values = (torch.stack(column) for column in zip(*seen, strict=True))
        better, last = torch.zeros_like(rewards), torch.zeros(8)
        for t in reversed(range(len(seen))):
            surprise = rewards[t] + 0.95 * ahead - values[t]
            better[t] = last = surprise + 0.95 * 0.9 * last
            ahead = values[t]
        returns = better + values
        batch = [x.flatten(0, 1) for x in (places, actions)] + [
            x.flatten() for x in (before, better, returns)
        ]
        order = data.tensor(data.random.permutation(80))
        for chosen in order.split(40):
            place_, action_, old, gain, wanted = (x[chosen] for x in batch)
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            policy, value = agent(place_)
            ratio = (policy.log_prob(action_) - old).exp()
            surrogate = torch.max(-gain * ratio, -gain * ratio.clamp(0.8, 1.2)).mean()
            loss = surrogate + 0.5 * 0.5 * (value - wanted).square().mean() - 0.01 * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
            yield loss.item()
