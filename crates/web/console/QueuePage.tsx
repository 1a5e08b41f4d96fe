// Owns a queue's page: opening and closing it, who waits, and picking.
import type { JSX } from "preact";
import type { Queue, WaitingAudience } from "../client/src/index.ts";
import { ClockIcon } from "../ui/icons.tsx";
import { clockTime, duration } from "../ui/time.ts";
import { BackLink } from "./BackLink.tsx";
import { PeopleIcon } from "./icons.tsx";
import { now, pick, setQueueClosed, state } from "./model.ts";
import { guestName } from "./people.ts";
import { queueState } from "./Sidebar.tsx";
import { texts } from "./texts.ts";

export function QueuePage({ id }: { id: string }): JSX.Element {
  const queue = state.value.queues[id];
  if (!queue) return <div class="blank">{texts.gone}</div>;
  const length = queue.attrs.length ?? 0;
  const isClosed = queue.attrs.closed === true;
  return (
    <div class="page">
      <header class="page-head">
        <BackLink />
        <div class="titles">
          <h1>{queue.attrs.name ?? queue.id}</h1>
          <p class="soft">
            <i class={`dot ${queueState(queue)}`} aria-hidden="true" />
            {isClosed ? texts.queueStates.closed : texts.queueStates.open}
            {length > 0 && ` · ${texts.waitingCount(length)}`}
            {queue.firstSince !== undefined && ` · ${texts.firstWaits(duration(now.value - queue.firstSince))}`}
          </p>
        </div>
        <button type="button" class="lv-button" onClick={() => void setQueueClosed(id, !isClosed)}>
          {isClosed ? texts.openQueue : texts.closeQueue}
        </button>
        <button type="button" class="lv-button primary" disabled={length === 0} onClick={() => void pick(id)}>
          {texts.pickNext}
        </button>
      </header>
      {length === 0 ? <EmptyQueue isClosed={isClosed} /> : <WaitingList queue={queue} />}
    </div>
  );
}

function EmptyQueue({ isClosed }: { isClosed: boolean }): JSX.Element {
  return (
    <div class="blank">
      <span class="blank-icon">
        <PeopleIcon size={32} />
      </span>
      <h2>{texts.noOneWaits}</h2>
      <p>{isClosed ? texts.noOneWaitsClosed : texts.noOneWaitsOpen}</p>
    </div>
  );
}

function WaitingList({ queue }: { queue: Queue }): JSX.Element {
  return (
    <section class="waiting-list" aria-labelledby="waiting-title">
      <h2 id="waiting-title">{texts.whoWaits}</h2>
      <ol>
        {queue.waiting.map((waiting) => (
          <WaitingRow key={waiting.audience_id} queueId={queue.id} waiting={waiting} />
        ))}
      </ol>
    </section>
  );
}

function WaitingRow({ queueId, waiting }: { queueId: string; waiting: WaitingAudience }): JSX.Element {
  const name = guestName(waiting.user_id, waiting.user_name);
  return (
    <li>
      <span class="waiting-name">{name}</span>
      <span class="soft">
        <ClockIcon size={16} />
        {texts.since} <time>{clockTime(waiting.request_time)}</time>
      </span>
      <span class="timer">{duration(now.value - waiting.request_time)}</span>
      <button
        type="button"
        class="lv-button small"
        aria-label={texts.pickNamed(name)}
        onClick={() => void pick(queueId, waiting.audience_id)}
      >
        {texts.pick}
      </button>
    </li>
  );
}
