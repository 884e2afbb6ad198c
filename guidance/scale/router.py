"""Which painter a run goes to."""

import asyncio
import math
import random

from ray.serve.request_router import FIFOMixin, MultiplexMixin, PendingRequest, RequestRouter, RunningReplica

PATIENCE = 1  # seconds for a painter to say how many runs it has


class Router(FIFOMixin, MultiplexMixin, RequestRouter):
    """A run goes to a painter with the fewest runs, and among these to one that holds its network.

    Ray's own router looks at the network alone: one painter that holds it would paint for everybody.
    """

    def initialize_state(self) -> None:
        """Before the first run."""
        self.turn = asyncio.Lock()

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The painters to try, best first, as Ray asks for them; any for what is no run."""
        painters = random.sample(candidate_replicas, len(candidate_replicas))
        if not pending_request or not painters:
            return [painters]
        pending_request.routing_context.should_backoff = True  # when all are full, before it asks again
        if not (network := pending_request.metadata.multiplexed_model_id):
            return [painters[:1]]
        ranked = [one for rank in self.rank_replicas_via_multiplex(painters, network) for one in rank]
        async with self.turn:
            runs = dict(zip(ranked, await asyncio.gather(*map(self.runs, ranked)), strict=True))
            best = min(ranked, key=runs.get)
            if runs[best] < math.inf:  # counted at once, for whoever asks before the run is there
                self.on_new_queue_len_info(best.replica_id, runs[best] + 1)
        return [[best]]

    async def runs(self, painter: RunningReplica) -> float:
        """How many runs a painter has; infinity if it does not say."""
        known = self.replica_queue_len_cache.get(painter.replica_id)
        if known is not None:
            return known
        try:
            return await asyncio.wait_for(painter.get_queue_len(deadline_s=PATIENCE), PATIENCE)
        except Exception:  # it is dead or far away; Ray finds out which
            return math.inf
