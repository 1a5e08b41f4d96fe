// Owns what the widget's window shows from the choice of a queue to the end of the conversation.
import type { JSX } from "preact";
import { isEnded, maySendFiles, memberName, type Conversation, type Queue } from "../client/src/index.ts";
import { Composer } from "../ui/Composer.tsx";
import { DropArea } from "../ui/DropArea.tsx";
import { ChevronIcon } from "../ui/icons.tsx";
import { MessageList } from "../ui/MessageList.tsx";
import type { NameOf } from "../ui/timeline.ts";
import { LazyFiles, LazyUploads } from "./LazyFiles.tsx";
import { offeredQueues, type WidgetModel, type WidgetState } from "./model.ts";
import { texts } from "./texts.ts";

export function MessageView(props: { text: string; action?: string; onAction?: () => void }): JSX.Element {
  return (
    <div class="view centred" role="status">
      <p>{props.text}</p>
      {props.action && (
        <button type="button" class="lv-button primary" onClick={props.onAction}>
          {props.action}
        </button>
      )}
    </div>
  );
}

export function QueueList({ model, state }: { model: WidgetModel; state: WidgetState }): JSX.Element {
  const queues = offeredQueues(state.chat, model.options);
  const error = state.requestError;
  if (queues.length === 0 && !state.described) return <MessageView text={texts.connecting} />;
  return (
    <div class="view">
      <h3>{texts.welcome}</h3>
      <p class="soft">{queues.length > 0 ? texts.chooseQueue : texts.noQueues}</p>
      <div role="alert">{error && <p class="lv-notice error">{error}</p>}</div>
      <ul class="queues">
        {queues.map((queue) => (
          <li key={queue.id}>
            <QueueButton queue={queue} onPick={() => void model.request(queue.id)} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function QueueButton({ queue, onPick }: { queue: Queue; onPick: () => void }): JSX.Element {
  const isClosed = queue.attrs.closed === true || queue.attrs.suspended === true;
  const waiting = queue.attrs.length ?? 0;
  return (
    <button type="button" class="queue" disabled={isClosed} onClick={onPick}>
      <span class="queue-name">{queue.attrs.name ?? queue.id}</span>
      <span class={isClosed ? "queue-state closed" : "queue-state open"}>
        <i class="dot" aria-hidden="true" />
        {isClosed ? texts.queueClosed : texts.queueOpen}
        {!isClosed && waiting > 0 && ` · ${texts.queueWaiting(waiting)}`}
      </span>
      {!isClosed && <ChevronIcon />}
    </button>
  );
}

export function WaitingView({ model, queue }: { model: WidgetModel; queue: Queue }): JSX.Element {
  const position = queue.position ?? 1;
  return (
    <div class="view centred">
      <div class="position" aria-hidden="true">
        {position}
      </div>
      <div role="status">
        <h3>{position === 1 ? texts.youAreNext : texts.youAreNumber(position)}</h3>
      </div>
      <p class="queue-name">{queue.attrs.name}</p>
      <p class="soft">{texts.positionHint}</p>
      <button type="button" class="lv-button" onClick={() => model.leaveQueue()}>
        {texts.leave}
      </button>
    </div>
  );
}

/** Whether the visitor is in the chat already; somebody who fills in the page's own form must not be drawn out of it. */
function isFocusInside(): boolean {
  return document.activeElement?.shadowRoot?.activeElement != null;
}

export function ConversationView({
  model,
  state,
  conversation,
}: {
  model: WidgetModel;
  state: WidgetState;
  conversation: Conversation;
}): JSX.Element {
  const ended = isEnded(conversation);
  const error = state.requestError;
  const selfId = state.chat.user?.id;
  const nameOf: NameOf = (userId, writtenAs) => memberName(conversation, userId) ?? writtenAs ?? texts.agent;
  const canSend = !ended && maySendFiles(conversation, selfId);
  const onFiles = canSend ? (files: File[]) => void model.sendFiles(conversation, files) : undefined;
  return (
    <DropArea class="conversation" onFiles={onFiles}>
      <MessageList
        key={conversation.id}
        conversation={conversation}
        selfId={selfId}
        side="customer"
        nameOf={nameOf}
        onRetry={(messageId) => model.resend(conversation, messageId)}
        onOlder={() => model.loadOlder(conversation)}
        renderFiles={(message) => <LazyFiles message={message} host={model.host} />}
      >
        <p class="lv-info">{texts.started}</p>
      </MessageList>
      {(state.sends || Object.keys(conversation.uploads)[0]) && (
        <LazyUploads conversation={conversation} host={model.host} nameOf={nameOf} />
      )}
      <div role="alert">{error && <p class="lv-notice error">{error}</p>}</div>
      {ended ? (
        <div class="ended" role="status">
          <p>{texts.endedTitle}</p>
          <button type="button" class="lv-button primary" onClick={() => void model.startAgain(conversation)}>
            {texts.startAgain}
          </button>
        </div>
      ) : (
        <Composer
          text={state.draft}
          autoFocus={isFocusInside()}
          onText={(text) => model.write(conversation, text)}
          onSend={(text) => model.send(conversation, text)}
          onFiles={onFiles}
        />
      )}
    </DropArea>
  );
}
