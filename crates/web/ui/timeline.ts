// Owns how a conversation's messages are arranged for reading: days, groups by author, quiet lines. Pure.
import { isSpeech, type Conversation, type Message } from "../client/src/state.ts";
import { texts } from "./texts.ts";

export type Side = "agent" | "customer";

export interface Group {
  kind: "group";
  key: string;
  userId: string | undefined;
  name: string;
  own: boolean;
  time: number;
  messages: Message[];
}

export type Row = Group | { kind: "day"; key: string; time: number } | { kind: "info"; key: string; text: string };

/** Messages by one author further apart than this begin a new group, so that the time shown stays true. */
const GROUP_SECONDS = 300;

/** What a face calls a member of the conversation; also one whose account has no name. */
export type NameOf = (userId: string | undefined, writtenAs?: string) => string;

/** What a face calls a queue, if it knows it. */
export type QueueNameOf = (queueId: string) => string | undefined;

export function timeline(
  conversation: Conversation,
  selfId: string | undefined,
  side: Side,
  nameOf: NameOf,
  queueNameOf: QueueNameOf = () => undefined,
  today = new Date().toDateString(),
): Row[] {
  const rows: Row[] = [];
  // A conversation of today needs no date.
  let day = today;
  for (const message of conversation.messages) {
    if (message.hidden || message.fold) continue;
    const info = isSpeech(message) ? null : infoText(message, conversation, selfId, side, nameOf, queueNameOf);
    if (!isSpeech(message) && info === null) continue;
    const messageDay = new Date(message.time * 1000).toDateString();
    if (messageDay !== day) rows.push({ kind: "day", key: `day:${messageDay}`, time: message.time });
    day = messageDay;
    if (info !== null) {
      rows.push({ kind: "info", key: message.id, text: info });
      continue;
    }
    const last = rows.at(-1);
    if (last?.kind === "group" && last.userId === message.userId && message.time - last.time < GROUP_SECONDS) {
      last.messages.push(message);
      continue;
    }
    rows.push({
      kind: "group",
      key: message.id,
      userId: message.userId,
      own: message.userId === selfId,
      name: nameOf(message.userId, message.userName),
      time: message.time,
      messages: [message],
    });
  }
  return rows;
}

function infoText(
  { type, content }: Message,
  conversation: Conversation,
  selfId: string | undefined,
  side: Side,
  nameOf: NameOf,
  queueNameOf: QueueNameOf,
): string | null {
  const userId = typeof content.user_id === "string" ? content.user_id : undefined;
  const named = typeof content.user_name === "string" ? content.user_name : undefined;
  const name = nameOf(userId, named);
  switch (type) {
    case "ninchat.com/info/join":
      // The two who begin a conversation see that said in other words.
      return userId === selfId || (side === "agent" && conversation.members[userId ?? ""]?.user_attrs.guest)
        ? null
        : texts.joined(name);
    case "ninchat.com/info/part":
      if (content.cause === "audience_transfer") return texts.transferredAway;
      return userId === selfId ? null : texts.left(name);
    case "ninchat.com/info/user":
      return typeof content.user_name_old === "string" ? texts.renamed(content.user_name_old, name) : null;
    case "ninchat.com/info/channel":
      return channelInfo(content);
    case "ninchat.com/info/transfer/source":
      return texts.transferredHere(typeof content.queue_id === "string" ? queueNameOf(content.queue_id) : undefined);
    case "ninchat.com/info/transfer/target":
      return texts.transferredAway;
    case "ninchat.com/metadata":
      return side === "agent" ? metadataText(content.data) : null;
    default:
      return null;
  }
}

function channelInfo(content: Message["content"]): string | null {
  const before = (content.channel_attrs_old ?? {}) as Conversation["attrs"];
  const after = (content.channel_attrs_new ?? {}) as Conversation["attrs"];
  if (content.cause === "audience_transfer") return texts.transferredAway;
  const wasEnded = before.closed === true || before.suspended === true;
  const isEnded = after.closed === true || after.suspended === true;
  if (isEnded === wasEnded) return null;
  return isEnded ? texts.ended : texts.reopened;
}

function metadataText(data: unknown): string | null {
  if (typeof data !== "object" || data === null) return null;
  const parts = Object.entries(data).map(
    ([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return parts.length > 0 ? parts.join(" · ") : null;
}
