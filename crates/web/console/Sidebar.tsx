// Owns the list on the left: organisation and account, queues, customer conversations.
import type { JSX } from "preact";
import type { Conversation, Queue } from "../client/src/index.ts";
import { AttachIcon, PictureIcon } from "../ui/icons.tsx";
import { lastWords } from "../ui/lastWords.ts";
import { duration } from "../ui/time.ts";
import { Logo } from "./Logo.tsx";
import { conversations, logOut, now, queues, state } from "./model.ts";
import { customerId, customerName, presence } from "./people.ts";
import { hashOf, route, type Route } from "./route.ts";
import { texts } from "./texts.ts";
import { LogOutIcon } from "./icons.tsx";

export function Sidebar(): JSX.Element {
  const { user, realms, status } = state.value;
  const realmName = Object.values(realms)[0]?.name ?? texts.product;
  return (
    <div class="sidebar">
      <header class="org">
        <Logo />
        <span class="org-name">{realmName}</span>
      </header>
      <nav aria-label={texts.sidebar}>
        <h2>{texts.queues}</h2>
        {queues.value.length === 0 && <p class="empty">{texts.noQueues}</p>}
        <ul>
          {queues.value.map((queue) => (
            <li key={queue.id}>
              <QueueLink queue={queue} />
            </li>
          ))}
        </ul>
        <h2>{texts.customers}</h2>
        {conversations.value.length === 0 && <p class="empty">{texts.noCustomers}</p>}
        <ul>
          {conversations.value.map((conversation) => (
            <li key={conversation.id}>
              <ConversationLink conversation={conversation} />
            </li>
          ))}
        </ul>
      </nav>
      <footer class="account">
        <PresenceDot value={status === "online" ? "online" : "offline"} />
        <span class="account-name">{user?.attrs.realname ?? user?.attrs.name}</span>
        <button type="button" class="lv-icon-button" aria-label={texts.logOut} title={texts.logOut} onClick={logOut}>
          <LogOutIcon />
        </button>
      </footer>
    </div>
  );
}

export function queueState({ attrs }: Queue): "closed" | "open" | "waiting" {
  // Who waits comes first: a queue may be closed while people still stand in it.
  if ((attrs.length ?? 0) > 0) return "waiting";
  return attrs.closed || attrs.suspended ? "closed" : "open";
}

function current(target: Route): "page" | undefined {
  return hashOf(route.value) === hashOf(target) ? "page" : undefined;
}

function QueueLink({ queue }: { queue: Queue }): JSX.Element {
  const target: Route = { page: "queue", id: queue.id };
  const length = queue.attrs.length ?? 0;
  const kind = queueState(queue);
  return (
    <a class="item" href={hashOf(target)} aria-current={current(target)}>
      <i class={`dot ${kind}`} aria-hidden="true" />
      <span class="item-name">{queue.attrs.name ?? queue.id}</span>
      {kind === "waiting" ? (
        <>
          {queue.firstSince !== undefined && (
            <span class="timer" aria-hidden="true">
              {duration(now.value - queue.firstSince)}
            </span>
          )}
          <span class="count" aria-hidden="true">
            {length}
          </span>
          <span class="lv-hidden">{texts.waitingCount(length)}</span>
        </>
      ) : (
        <span class="lv-hidden">{texts.queueStates[kind]}</span>
      )}
    </a>
  );
}

function ConversationLink({ conversation }: { conversation: Conversation }): JSX.Element {
  const target: Route = { page: "conversation", id: conversation.id };
  const selfId = state.value.user?.id;
  const customer = conversation.members[customerId(conversation, selfId) ?? ""];
  const queueName = state.value.queues[conversation.attrs.queue_id ?? ""]?.attrs.name ?? conversation.attrs.name;
  return (
    <a class={conversation.unread > 0 ? "item tall unread" : "item tall"} href={hashOf(target)} aria-current={current(target)}>
      <PresenceDot value={presence(customer?.user_attrs)} />
      <span class="item-body">
        <span class="item-name">{customerName(conversation, selfId)}</span>
        <span class="item-queue">{queueName}</span>
        <LastWords conversation={conversation} />
      </span>
      {conversation.unread > 0 && (
        <>
          <span class="count" aria-hidden="true">
            {conversation.unread}
          </span>
          <span class="lv-hidden">{texts.unread(conversation.unread)}</span>
        </>
      )}
    </a>
  );
}

function LastWords({ conversation }: { conversation: Conversation }): JSX.Element {
  const words = lastWords(conversation.messages);
  if (!words) return <span class="item-last">{texts.noMessages}</span>;
  const { text, attached, userId } = words;
  return (
    <span class="item-last">
      {userId === state.value.user?.id && <span>{texts.own} </span>}
      {attached === "pictures" && <PictureIcon size={15} />}
      {attached === "files" && <AttachIcon size={15} />}
      <bdi>{text}</bdi>
    </span>
  );
}

export function PresenceDot({ value }: { value: "online" | "idle" | "offline" }): JSX.Element {
  return (
    <>
      <i class={`dot presence ${value}`} aria-hidden="true" />
      <span class="lv-hidden">{texts[value]}</span>
    </>
  );
}
