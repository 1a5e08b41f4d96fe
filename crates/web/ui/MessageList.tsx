// Owns showing a conversation: the log of messages, who is writing, and staying at its end while it grows.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { hasFiles, messageText, type Conversation, type Message } from "../client/src/state.ts";
import { LinkedText } from "./LinkedText.tsx";
import { texts } from "./texts.ts";
import { clockTime, dayName } from "./time.ts";
import { timeline, type Group, type NameOf, type QueueNameOf, type Side } from "./timeline.ts";

export interface MessageListProps {
  conversation: Conversation;
  selfId: string | undefined;
  side: Side;
  nameOf: NameOf;
  queueNameOf?: QueueNameOf;
  onRetry: (messageId: string) => void;
  onOlder: () => void;
  /** Draws the files of a message that has some. */
  renderFiles: (message: Message) => ComponentChildren;
  /** Stands before the first message. */
  children?: ComponentChildren;
}

/** How near to the end still counts as reading the end, in pixels. */
const NEAR_END = 80;

export function MessageList(props: MessageListProps): JSX.Element {
  const { conversation, selfId, side, nameOf, queueNameOf, onRetry, onOlder, renderFiles, children } = props;
  const log = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const before = useRef<{ first?: string; height: number; last?: string }>({ height: 0 });
  const { messages } = conversation;

  useLayoutEffect(() => {
    const element = log.current!;
    const { first, height, last } = before.current;
    const newest = messages.at(-1);
    const wroteSomething = newest?.delivery !== undefined && newest.id !== last;
    if (atEnd.current || wroteSomething) element.scrollTop = element.scrollHeight;
    // Earlier messages came in above: what the reader was looking at stays where it is.
    else if (first !== messages[0]?.id) element.scrollTop += element.scrollHeight - height;
    before.current = { first: messages[0]?.id, height: element.scrollHeight, last: newest?.id };
  }, [messages, conversation.writingSince]);

  useLayoutEffect(() => {
    // A composer that grows or a keyboard that opens takes room from the log, and files that are drawn need more of it.
    const element = log.current!;
    const observer = new ResizeObserver(() => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    observer.observe(rows.current!);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = log.current!;
    // Only who scrolls up leaves the end. What is told late, after the messages have grown, isn't their doing.
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) atEnd.current = true;
    else if (scrollTop < lastTop.current) atEnd.current = false;
    lastTop.current = scrollTop;
  };

  return (
    <>
      <div class="lv-log" role="log" aria-live="polite" aria-label={texts.messages} tabIndex={0} ref={log} onScroll={onScroll}>
        <div class="lv-rows" ref={rows}>
          {conversation.hasOlder && (
            <button type="button" class="lv-button small lv-older" onClick={onOlder}>
              {texts.older}
            </button>
          )}
          {children}
          {timeline(conversation, selfId, side, nameOf, queueNameOf).map((row) => {
            if (row.kind === "day") return <div class="lv-day" key={row.key}>{dayName(row.time)}</div>;
            if (row.kind === "info") return <div class="lv-info" key={row.key}>{row.text}</div>;
            return <MessageGroup key={row.key} group={row} onRetry={onRetry} renderFiles={renderFiles} />;
          })}
        </div>
      </div>
      <TypingLine conversation={conversation} selfId={selfId} nameOf={nameOf} />
    </>
  );
}

type HowDrawn = Pick<MessageListProps, "onRetry" | "renderFiles">;

function MessageGroup({ group, ...how }: { group: Group } & HowDrawn): JSX.Element {
  const last = group.messages.at(-1)!;
  return (
    <div class={group.own ? "lv-group own" : "lv-group"}>
      <div class="lv-author">
        <b>{group.own ? texts.you : group.name}</b> <time>{clockTime(group.time)}</time>
      </div>
      {group.messages.map((message) => (
        <Bubble key={message.id} message={message} {...how} />
      ))}
      {last.delivery === "pending" && <div class="lv-delivery">{texts.sending}</div>}
    </div>
  );
}

function Bubble({ message, onRetry, renderFiles }: { message: Message } & HowDrawn): JSX.Element {
  const text = messageText(message);
  return (
    <>
      {(text || !hasFiles(message)) && (
        <div class={message.delivery ? `lv-bubble ${message.delivery}` : "lv-bubble"}>
          <LinkedText text={text} />
        </div>
      )}
      {hasFiles(message) && <div class="lv-files">{renderFiles(message)}</div>}
      {message.delivery === "failed" && (
        <div class="lv-delivery failed">
          {texts.failed}{" "}
          <button type="button" onClick={() => onRetry(message.id)}>
            {texts.retry}
          </button>
        </div>
      )}
    </>
  );
}

function TypingLine({
  conversation,
  selfId,
  nameOf,
}: Pick<MessageListProps, "conversation" | "selfId" | "nameOf">): JSX.Element {
  const writer = Object.keys(conversation.writingSince).find((id) => id !== selfId);
  return (
    <div class="lv-typing" role="status">
      {writer !== undefined && (
        <>
          <span class="lv-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {texts.writing(nameOf(writer))}
        </>
      )}
    </div>
  );
}
