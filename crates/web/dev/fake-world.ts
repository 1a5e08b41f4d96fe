// Owns the stand-in's world: one organisation, its queues and agent, visitors, conversations. Only for looking at pages.

import { FakeFiles } from "./fake-files.ts";

export type Header = Record<string, unknown>;
export const REALM_ID = "realm1";
export const AGENT = { email: "agent@example.com", password: "levee-demo" };

interface User {
  id: string;
  auth: string;
  attrs: Header;
}
interface Waiting {
  audience_id: string;
  user_id: string;
  user_name?: string;
  request_time: number;
  metadata: Header;
}
interface FakeQueue {
  id: string;
  attrs: Header;
  waiting: Waiting[];
}
interface Channel {
  id: string;
  attrs: Header;
  members: Map<string, Header>;
  metadata: Header;
  messages: { header: Header; parts: unknown[] }[];
}
type Emit = (userIds: string[], event: Header, parts?: unknown[], onlySessionId?: string) => void;

const now = () => Date.now() / 1000;

export class FakeWorld {
  private count = 0;
  private readonly users = new Map<string, User>([
    ["agent", { id: "agent", auth: "agent-secret", attrs: { name: "Maya Lind", connected: true } }],
  ]);
  private readonly queues = new Map<string, FakeQueue>(
    [
      { id: "orders", attrs: { name: "Orders and delivery" } },
      { id: "advice", attrs: { name: "Product advice" } },
      { id: "returns", attrs: { name: "Returns", closed: true } },
    ].map((queue) => [queue.id, { ...queue, waiting: [] }]),
  );
  private readonly channels = new Map<string, Channel>();
  readonly files = new FakeFiles({
    progress: (channelId, event) => this.emit([...this.channels.get(channelId)!.members.keys()], event),
    post: (channelId, userId, file) => this.post(this.channels.get(channelId)!, "ninchat.com/file", [{ files: [file] }], userId),
  });

  constructor(private readonly emit: Emit) {}

  login(action: Header): User | null {
    if (action.identity_name !== undefined) {
      const right = action.identity_name === AGENT.email && action.identity_auth === AGENT.password;
      return right ? this.users.get("agent")! : null;
    }
    if (action.user_id !== undefined) {
      const user = this.users.get(action.user_id as string);
      return user && user.auth === action.user_auth ? user : null;
    }
    const id = `05kq${(++this.count * 7919 + 20000).toString(32)}`;
    const user = { id, auth: `secret${id}`, attrs: { ...(action.user_attrs as Header), guest: true, connected: true } };
    this.users.set(id, user);
    return user;
  }

  ownUser(user: User): Header {
    const channels = [...this.channels.values()].filter((channel) => channel.members.has(user.id));
    const queues = [...this.queues.values()].flatMap((queue) => {
      const at = queue.waiting.findIndex((waiting) => waiting.user_id === user.id);
      if (user.id !== "agent" && at < 0) return [];
      return [[queue.id, { queue_attrs: this.queueAttrs(queue), realm_id: REALM_ID, ...(at >= 0 && { queue_position: at + 1 }) }]];
    });
    return {
      user_id: user.id,
      user_attrs: user.attrs,
      user_channels: Object.fromEntries(channels.map((channel) => [channel.id, { channel_attrs: channel.attrs }])),
      user_queues: Object.fromEntries(queues) as Header,
      user_realms: user.id === "agent" ? { [REALM_ID]: { name: "Fjell & Fjord" } } : {},
    };
  }

  leave(userId: string): void {
    for (const queue of this.queues.values()) this.remove(queue, userId, "audience_drop");
  }

  act(userId: string, sessionId: string, action: Header, parts: unknown[]): void {
    const reply = (event: Header, payload?: unknown[]) =>
      this.emit([userId], { ...event, action_id: action.action_id }, payload, sessionId);
    const queue = this.queues.get(action.queue_id as string);
    const channel = this.channels.get(action.channel_id as string);
    switch (action.action) {
      case "describe_user":
        return reply({ event: "user_found", ...this.ownUser(this.users.get(userId)!) });
      case "describe_realm_queues":
        return reply({
          event: "realm_queues_found",
          realm_id: action.realm_id,
          realm_queues: Object.fromEntries([...this.queues].map(([id, q]) => [id, { queue_attrs: this.queueAttrs(q) }])),
        });
      case "describe_queue":
        return reply({ event: "queue_found", ...this.agentView(queue!) });
      case "update_queue":
        Object.assign(queue!.attrs, action.queue_attrs);
        reply({ event: "queue_updated", ...this.agentView(queue!) });
        return this.queueChanged(queue!, "queue_update");
      case "request_audience": {
        if (queue!.attrs.closed) return reply({ event: "error", error_type: "queue_is_closed" });
        queue!.waiting.push({
          audience_id: `a${++this.count}`,
          user_id: userId,
          user_name: this.users.get(userId)?.attrs.name as string | undefined,
          request_time: now(),
          metadata: action.audience_metadata as Header,
        });
        const audience_id = queue!.waiting.at(-1)!.audience_id;
        const queue_position = queue!.waiting.length;
        reply({ event: "audience_enqueued", queue_id: queue!.id, queue_attrs: this.queueAttrs(queue!), queue_position, audience_id });
        return this.queueChanged(queue!, "audience_request");
      }
      case "accept_audience": {
        const next = queue!.waiting.find((w) => !action.audience_id || w.audience_id === action.audience_id);
        if (!next) return reply({ event: "error", error_type: action.audience_id ? "audience_not_found" : "queue_is_empty" });
        return this.accept(queue!, next, userId, action.action_id);
      }
      case "levee_create_upload":
        return reply(this.files.createUpload(channel!.id, userId, action.file_attrs as { name: string; size: number }));
      case "describe_file":
        return reply(this.files.describe(action.file_id as string));
      case "describe_channel":
        return reply({ event: "channel_found", ...this.describe(channel!) });
      case "load_history": {
        const messages = channel!.messages;
        reply({ event: "history_results", channel_id: channel!.id, history_length: messages.length });
        messages.forEach((m, index) => reply({ ...m.header, history_length: messages.length - 1 - index }, m.parts));
        return;
      }
      case "send_message":
        if (channel!.attrs.closed) return reply({ event: "error", error_type: "permission_denied" });
        return this.post(channel!, action.message_type as string, parts, userId, action.action_id, sessionId);
      case "update_member":
        channel!.members.set(userId, { ...channel!.members.get(userId), ...(action.member_attrs as Header) });
        return this.emit([...channel!.members.keys()], {
          event: "channel_member_updated",
          channel_id: channel!.id,
          user_id: userId,
          member_attrs: channel!.members.get(userId),
        });
      case "update_channel":
        Object.assign(channel!.attrs, action.channel_attrs);
        this.post(channel!, "ninchat.com/info/channel", [{ channel_attrs_new: action.channel_attrs }]);
        reply({ event: "channel_updated", channel_id: channel!.id, channel_attrs: channel!.attrs });
        return this.emit([...channel!.members.keys()].filter((id) => id !== userId), {
          event: "channel_updated",
          channel_id: channel!.id,
          channel_attrs: channel!.attrs,
        });
      case "part_channel":
        channel!.members.delete(userId);
        reply({ event: "channel_parted", channel_id: channel!.id });
        return this.emit([...channel!.members.keys()], { event: "channel_member_parted", channel_id: channel!.id, user_id: userId });
    }
  }

  private queueAttrs(queue: FakeQueue): Header {
    return { ...queue.attrs, length: queue.waiting.length };
  }

  private agentView(queue: FakeQueue): Header {
    return {
      queue_id: queue.id,
      queue_attrs: this.queueAttrs(queue),
      realm_id: REALM_ID,
      ...(queue.waiting[0] && { queue_time: now() - queue.waiting[0].request_time }),
      levee_waiting: queue.waiting.map(({ metadata: _metadata, ...waiting }) => waiting),
    };
  }

  private queueChanged(queue: FakeQueue, event_cause: string): void {
    this.emit(["agent"], { event: "queue_updated", event_cause, ...this.agentView(queue) });
    for (const id of this.users.keys()) {
      if (id === "agent") continue;
      const at = queue.waiting.findIndex((waiting) => waiting.user_id === id);
      this.emit([id], {
        event: "queue_updated",
        queue_id: queue.id,
        queue_attrs: this.queueAttrs(queue),
        ...(at >= 0 && { queue_position: at + 1 }),
      });
    }
  }

  private remove(queue: FakeQueue, userId: string, cause: string): void {
    const before = queue.waiting.length;
    queue.waiting = queue.waiting.filter((waiting) => waiting.user_id !== userId);
    if (queue.waiting.length < before) this.queueChanged(queue, cause);
  }

  private accept(queue: FakeQueue, waiting: Waiting, agentId: string, action_id: unknown): void {
    const channel: Channel = {
      id: `channel${++this.count}`,
      attrs: { name: queue.attrs.name, queue_id: queue.id, audience_id: waiting.audience_id, upload: "member" },
      members: new Map([
        [agentId, { operator: true }],
        [waiting.user_id, {}],
      ]),
      metadata: waiting.metadata,
      messages: [],
    };
    this.channels.set(channel.id, channel);
    this.emit([agentId], { event: "channel_joined", action_id, ...this.describe(channel) });
    this.emit([waiting.user_id], { event: "channel_joined", ...this.describe(channel) });
    this.remove(queue, waiting.user_id, "audience_accept_peer");
  }

  private describe(channel: Channel): Header {
    return {
      channel_id: channel.id,
      channel_attrs: channel.attrs,
      channel_members: Object.fromEntries(
        [...channel.members].map(([id, member_attrs]) => [id, { user_attrs: this.users.get(id)?.attrs, member_attrs }]),
      ),
      audience_metadata: channel.metadata,
      realm_id: REALM_ID,
    };
  }

  private post(channel: Channel, type: string, parts: unknown[], userId?: string, action_id?: unknown, sessionId?: string): void {
    const header = {
      event: "message_received",
      channel_id: channel.id,
      message_id: String(++this.count).padStart(12, "0"),
      message_time: now(),
      message_type: type,
      ...(userId && { message_user_id: userId, message_user_name: this.users.get(userId)?.attrs.name }),
    };
    channel.messages.push({ header, parts });
    if (userId) this.emit([userId], { ...header, action_id }, parts, sessionId);
    this.emit([...channel.members.keys()].filter((id) => id !== userId), header, parts);
  }
}
