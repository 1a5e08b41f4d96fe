// Owns what each event does to the state. Pure: no sending, no clock but the one that is passed in.
import { isSpeech, mergeMessage, type Conversation, type Message, type Queue, type State } from "./state.ts";
import type { ChannelAttrs, EventOf, Metadata, OwnUser, UserAttrs, WireEvent } from "./wire.ts";

export interface Occasion {
  /** Seconds of this machine's clock. */
  now: number;
  content: unknown;
  /** The local message that the event acknowledges. */
  standInId?: string;
}

export function apply(state: State, event: WireEvent, occasion: Occasion): State {
  switch (event.event) {
    case "session_created":
    case "user_found":
      return event.event === "user_found" && state.user && event.user_id !== state.user.id
        ? state
        : applyOwnUser(state, event);
    case "user_updated":
      return applyUserAttrs(state, event);
    case "user_deleted":
      return applyUserAttrs(state, { ...event, user_attrs: { deleted: true } });
    case "realm_updated":
      return { ...state, realms: { ...state.realms, [event.realm_id]: event.realm_attrs } };
    case "realm_queues_found": {
      let next = state;
      for (const [id, queue] of Object.entries(event.realm_queues)) {
        next = patchQueue(next, id, {
          attrs: queue.queue_attrs,
          realmId: event.realm_id,
          // Not saying a position doesn't take one away.
          ...(queue.queue_position !== undefined && { position: queue.queue_position }),
        });
      }
      return next;
    }
    case "queue_joined":
    case "queue_found":
    case "queue_updated":
      return applyQueue(state, event, occasion.now);
    case "audience_enqueued":
      return patchQueue(state, event.queue_id, { attrs: event.queue_attrs, position: event.queue_position });
    case "queue_parted":
    case "queue_deleted": {
      const { [event.queue_id]: _gone, ...queues } = state.queues;
      return { ...state, queues };
    }
    case "channel_joined":
    case "channel_found":
      return applyChannel(state, event);
    case "channel_parted":
    case "channel_deleted": {
      const { [event.channel_id]: _gone, ...conversations } = state.conversations;
      return { ...state, conversations };
    }
    case "channel_updated":
      return patchConversation(state, event.channel_id, () => ({ attrs: event.channel_attrs }));
    case "channel_member_joined":
      return patchConversation(state, event.channel_id, ({ members }) => ({
        members: { ...members, [event.user_id]: { user_attrs: event.user_attrs, member_attrs: event.member_attrs } },
      }));
    case "channel_member_parted":
      // The name is still needed for what they wrote, so the member stays, as one who has gone.
      return patchConversation(state, event.channel_id, (conversation) => ({
        members: withMember(conversation, event.user_id, {
          user_attrs: { ...conversation.members[event.user_id]?.user_attrs, connected: false },
        }),
        writingSince: withWriting(conversation, event.user_id, undefined),
      }));
    case "channel_member_updated":
      return patchConversation(state, event.channel_id, (conversation) => ({
        members: withMember(conversation, event.user_id, { member_attrs: event.member_attrs }),
        writingSince: withWriting(conversation, event.user_id, event.member_attrs.writing ? occasion.now : undefined),
      }));
    case "session_status_updated":
      return event.channel_id ? patchConversation(state, event.channel_id, () => ({ unread: 0 })) : state;
    case "message_received":
      return applyMessage(state, event, occasion);
    case "levee_upload_updated":
      return applyUpload(state, event, occasion.now);
    case "message_updated":
      return event.channel_id
        ? patchConversation(state, event.channel_id, ({ messages }) => ({
            messages: messages.map((message) =>
              message.id === event.message_id ? { ...message, hidden: event.message_hidden === true } : message,
            ),
          }))
        : state;
    default:
      return state;
  }
}

export function patchConversation(
  state: State,
  id: string,
  change: (conversation: Conversation) => Partial<Conversation>,
): State {
  const conversation = state.conversations[id];
  if (!conversation) return state;
  return { ...state, conversations: { ...state.conversations, [id]: { ...conversation, ...change(conversation) } } };
}

function applyOwnUser(state: State, own: OwnUser): State {
  const queues: Record<string, Queue> = {};
  for (const [id, entry] of Object.entries(own.user_queues ?? {})) {
    queues[id] = {
      ...(state.queues[id] ?? { waiting: [], transferIds: [] }),
      id,
      attrs: entry.queue_attrs,
      position: entry.queue_position,
      realmId: entry.realm_id,
      member: entry.queue_position === undefined,
    };
  }
  const conversations: Record<string, Conversation> = {};
  for (const [id, entry] of Object.entries(own.user_channels ?? {})) {
    if (!isAudience(entry.channel_attrs)) continue;
    const known = state.conversations[id] ?? emptyConversation(id, entry.channel_attrs);
    conversations[id] = {
      ...known,
      attrs: entry.channel_attrs,
      unread: entry.channel_status ? Math.max(1, known.unread) : known.unread,
    };
  }
  // Queues that were only looked at, not joined, aren't the user's; they stay as they were described.
  const described = Object.fromEntries(
    Object.entries(state.queues).filter(([id, queue]) => !queue.member && !(id in queues)),
  );
  return {
    ...state,
    ready: true,
    user: { id: own.user_id, attrs: own.user_attrs },
    realms: own.user_realms ?? {},
    queues: { ...mapValues(described, (queue) => ({ ...queue, position: undefined })), ...queues },
    conversations,
  };
}

function applyUserAttrs(state: State, event: Pick<EventOf<"user_updated">, "user_id" | "user_attrs">): State {
  const user = state.user?.id === event.user_id ? { ...state.user, attrs: event.user_attrs } : state.user;
  const conversations = mapValues(state.conversations, (conversation) =>
    event.user_id in conversation.members
      ? {
          ...conversation,
          members: withMember(conversation, event.user_id, { user_attrs: withName(conversation, event) }),
          // Who is gone can't say any more that they stopped writing.
          writingSince: event.user_attrs.connected
            ? conversation.writingSince
            : withWriting(conversation, event.user_id, undefined),
        }
      : conversation,
  );
  return { ...state, user, conversations };
}

function applyQueue(state: State, event: EventOf<"queue_joined" | "queue_found" | "queue_updated">, now: number): State {
  // The length isn't an attribute that anybody sets, so a change of attributes comes without it.
  const length = event.queue_attrs.length ?? state.queues[event.queue_id]?.attrs.length;
  const change: Partial<Queue> = { attrs: { ...event.queue_attrs, length } };
  if (event.event === "queue_joined") change.member = true;
  if (event.realm_id !== undefined) change.realmId = event.realm_id;
  if (event.queue_position !== undefined) change.position = event.queue_position;
  if (event.queue_time !== undefined) change.firstSince = now - event.queue_time;
  if (event.levee_waiting) change.waiting = event.levee_waiting;
  if (event.queue_settings) change.transferIds = stringsOf(event.queue_settings.transfer_queue_ids);
  if (!length) {
    change.firstSince = undefined;
    change.waiting = [];
  }
  return patchQueue(state, event.queue_id, change);
}

function patchQueue(state: State, id: string, change: Partial<Queue>): State {
  const queue = state.queues[id] ?? { id, attrs: {}, member: false, waiting: [], transferIds: [] };
  return { ...state, queues: { ...state.queues, [id]: { ...queue, ...change } } };
}

function applyChannel(state: State, event: EventOf<"channel_joined" | "channel_found">): State {
  if (!isAudience(event.channel_attrs)) return state;
  const known = state.conversations[event.channel_id] ?? emptyConversation(event.channel_id, event.channel_attrs);
  const conversation: Conversation = {
    ...known,
    attrs: event.channel_attrs,
    members: { ...known.members, ...event.channel_members },
    metadata: event.audience_metadata ?? known.metadata,
  };
  // Being in the conversation means that the wait is over.
  const queues = event.event === "channel_joined" ? mapValues(state.queues, withoutPosition) : state.queues;
  return { ...state, queues, conversations: { ...state.conversations, [event.channel_id]: conversation } };
}

function applyMessage(state: State, event: EventOf<"message_received">, { content, standInId }: Occasion): State {
  if (!event.channel_id) return state;
  return patchConversation(state, event.channel_id, (conversation) => {
    const author = event.message_user_id;
    const isNew = !conversation.messages.some((known) => known.id === event.message_id);
    const message: Message = {
      id: event.message_id,
      time: event.message_time,
      type: event.message_type,
      userId: author,
      userName: event.message_user_name,
      content: isObject(content) ? content : {},
      fold: event.message_fold,
      hidden: event.message_hidden,
    };
    const live = event.history_length === undefined && isNew;
    const counts = live && author !== undefined && author !== state.user?.id && isSpeech(message);
    const seen = state.activeId === conversation.id;
    return {
      messages: mergeMessage(conversation.messages, message, standInId),
      unread: counts && !seen ? conversation.unread + 1 : conversation.unread,
      writingSince:
        live && author && conversation.writingSince[author] !== undefined
          ? withWriting(conversation, author, undefined)
          : conversation.writingSince,
    };
  });
}

function applyUpload(state: State, event: EventOf<"levee_upload_updated">, at: number): State {
  // One's own are known better from the sending itself, but for what became of them when all was sent.
  const isOwn = event.user_id === state.user?.id;
  const isTold = isOwn ? event.upload_ended === "refused" || event.upload_ended === "expired" : !event.upload_ended;
  return patchConversation(state, event.channel_id ?? "", ({ uploads: { [event.upload_id]: _before, ...others } }) => ({
    uploads: isTold ? { ...others, [event.upload_id]: { ...event, at } } : others,
  }));
}

function isAudience(attrs: ChannelAttrs): boolean {
  return attrs.audience_id !== undefined || attrs.queue_id !== undefined;
}

function emptyConversation(id: string, attrs: ChannelAttrs): Conversation {
  return {
    id,
    attrs,
    members: {},
    writingSince: {},
    metadata: {},
    messages: [],
    uploads: {},
    unread: 0,
    history: "missing",
    hasOlder: false,
  };
}

function withMember(
  conversation: Conversation,
  userId: string,
  change: Partial<Conversation["members"][string]>,
): Conversation["members"] {
  const known = conversation.members[userId] ?? { user_attrs: {}, member_attrs: {} };
  return { ...conversation.members, [userId]: { ...known, ...change } };
}

/** A deleted user's attributes are gone, but the conversation goes on calling them by name. */
function withName(conversation: Conversation, event: Pick<EventOf<"user_updated">, "user_id" | "user_attrs">): UserAttrs {
  return { name: conversation.members[event.user_id]?.user_attrs.name, ...event.user_attrs };
}

function withWriting(conversation: Conversation, userId: string, since: number | undefined): Record<string, number> {
  const { [userId]: _before, ...others } = conversation.writingSince;
  return since === undefined ? others : { ...others, [userId]: since };
}

function withoutPosition(queue: Queue): Queue {
  return queue.position === undefined ? queue : { ...queue, position: undefined };
}

function mapValues<T, R>(record: Record<string, T>, change: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** Operators write settings as they like, so nothing is believed of their shape. */
function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isObject(value: unknown): value is Metadata {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
