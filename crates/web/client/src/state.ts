// Owns the shape of what a face shows: user, realms, queues, conversations. Values are never changed in place.
import type {
  ChannelAttrs,
  ChannelMember,
  EventParams,
  Metadata,
  QueueAttrs,
  RealmAttrs,
  UserAttrs,
  WaitingAudience,
} from "./wire.ts";
import type { ConnectionStatus } from "./connection.ts";

export interface Message {
  /** The server's id, or a local one while the message isn't acknowledged. */
  id: string;
  /** Seconds since 1970. */
  time: number;
  type: string;
  userId?: string;
  userName?: string;
  content: Metadata;
  fold?: boolean;
  hidden?: boolean;
  delivery?: "pending" | "failed";
}

type UploadNews = EventParams["levee_upload_updated"];

/** A file that somebody is sending, as it was told last. */
export interface Upload extends UploadNews {
  /** When that was, in seconds of this machine's clock. */
  at: number;
}

export interface Conversation {
  id: string;
  attrs: ChannelAttrs;
  members: Record<string, ChannelMember>;
  /** When each member began to write, in seconds of this machine's clock. */
  writingSince: Record<string, number>;
  metadata: Metadata;
  messages: Message[];
  uploads: Record<string, Upload>;
  unread: number;
  history: "missing" | "loading" | "loaded";
  /** Whether the server has messages from before the first one here. */
  hasOlder: boolean;
}

export interface Queue {
  id: string;
  realmId?: string;
  attrs: QueueAttrs;
  /** Set while this user waits in it. */
  position?: number;
  /** Whether this user serves it. */
  member: boolean;
  /** Since when the first in line waits, in seconds of this machine's clock. */
  firstSince?: number;
  waiting: WaitingAudience[];
  /** The queues that its customers may be transferred to. */
  transferIds: string[];
}

export interface State {
  status: ConnectionStatus;
  errorType: string | null;
  /** Whether the state was rebuilt since the page was opened. */
  ready: boolean;
  user: { id: string; attrs: UserAttrs } | null;
  realms: Record<string, RealmAttrs>;
  queues: Record<string, Queue>;
  conversations: Record<string, Conversation>;
  /** The conversation that the user is looking at. */
  activeId: string | null;
}

export const initialState: State = {
  status: "idle",
  errorType: null,
  ready: false,
  user: null,
  realms: {},
  queues: {},
  conversations: {},
  activeId: null,
};

export function isEnded(conversation: Conversation): boolean {
  return conversation.attrs.closed === true || conversation.attrs.suspended === true;
}

/** Whether a member may send files, by what the conversation allows to whom. */
export function maySendFiles({ attrs, members }: Conversation, userId = ""): boolean {
  const { operator, moderator = operator } = members[userId]?.member_attrs ?? {};
  // "agent" is an older word for moderators.
  const may: Record<string, boolean | undefined> = { member: userId in members, agent: moderator, moderator, operator };
  return may[attrs.upload ?? ""] === true;
}

/** What people wrote, as opposed to what the system notes down. */
export function isSpeech(message: Message): boolean {
  return (
    message.type === "ninchat.com/text" || message.type === "ninchat.com/notice" || message.type === "ninchat.com/file"
  );
}

/** What files they are is a matter of whoever shows them. */
export function hasFiles({ type, content }: Message): boolean {
  return type === "ninchat.com/file" && Array.isArray(content.files);
}

export function messageText(message: Message): string {
  return typeof message.content.text === "string" ? message.content.text : "";
}

export function memberName(conversation: Conversation, userId: string | undefined): string | undefined {
  const attrs = conversation.members[userId ?? ""]?.user_attrs;
  return attrs?.realname ?? attrs?.name;
}

/** Puts a message in its place; a known id or a local stand-in is replaced, so that nothing shows twice. */
export function mergeMessage(messages: Message[], message: Message, standInId?: string): Message[] {
  const standIn = messages.find((other) => other.id === standInId || other.id === message.id);
  const rest = standIn ? messages.filter((other) => other !== standIn) : [...messages];
  // A reply may come without its content, which the sender has anyway.
  const content = Object.keys(message.content).length > 0 ? message.content : (standIn?.content ?? {});
  const merged = { ...message, content };
  let at = rest.length;
  while (at > 0 && !precedes(rest[at - 1]!, merged)) at -= 1;
  rest.splice(at, 0, merged);
  return rest;
}

function precedes(earlier: Message, later: Message): boolean {
  // What isn't acknowledged yet stays at the end, in the order in which it was written.
  if (later.delivery) return true;
  if (earlier.delivery) return false;
  return earlier.time !== later.time ? earlier.time < later.time : earlier.id < later.id;
}
