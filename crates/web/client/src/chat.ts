// Owns the state over one connection: it applies events, asks for what is missing, and offers what a person can do.
import { apply, patchConversation } from "./apply.ts";
import { Connection, type SessionParams, type SessionStore } from "./connection.ts";
import { payloadJson, type Frame } from "./frames.ts";
import { Observable } from "./observable.ts";
import { Outbox } from "./outbox.ts";
import type { Reply } from "./pending.ts";
import { initialState, type Conversation, type State } from "./state.ts";
import { Typing } from "./typing.ts";
import type { ActionName, ActionParams, EventOf, QueueAttrs, WireEvent } from "./wire.ts";

export interface ChatOptions {
  url: string;
  store?: SessionStore;
  credentials(): SessionParams | null;
  /** The server made or confirmed a secret that opens later sessions for the user. */
  rememberUser?(userId: string, userAuth: string): void;
  /** After the state has taken an event in. */
  onEvent?(event: WireEvent): void;
}

const HISTORY_LENGTH = 100;
const READ_AFTER_MS = 500;

export class Chat {
  readonly state = new Observable<State>(initialState);
  private readonly connection: Connection;
  private readonly outbox: Outbox;
  private readonly typing: Typing;
  private readTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ChatOptions) {
    this.connection = new Connection({
      url: options.url,
      store: options.store,
      credentials: () => options.credentials(),
      handlers: {
        event: (event, payload) => this.receive(event, payload),
        status: (status, error) => this.patch({ status, errorType: error?.type ?? null }),
        adopted: () => void this.call("describe_user", {}),
        lost: () => this.typing.reset(),
      },
    });
    this.outbox = new Outbox(this.state, (...message) => this.connection.dispatch(...message));
    this.typing = new Typing((channelId, writing) => this.sendWriting(channelId, writing));
  }

  get hasSession(): boolean {
    return this.connection.hasSession;
  }

  start(): void {
    this.connection.start();
  }

  nudge(): void {
    this.connection.nudge();
  }

  /** Ends the session and forgets everything. */
  close(): void {
    this.connection.close();
    this.typing.reset();
    this.state.set({ ...initialState, status: "closed" });
  }

  takeOver(): void {
    this.connection.takeOver();
  }

  call<A extends ActionName>(action: A, params: ActionParams[A], payload?: string[]): Promise<Reply> {
    return this.connection.dispatch(action, params, payload).reply;
  }

  // Queues

  describeRealmQueues(realmId: string, queueIds?: string[]): Promise<Reply> {
    return this.call("describe_realm_queues", { realm_id: realmId, ...(queueIds && { queue_ids: queueIds }) });
  }

  /** Takes the next in line, or the one named. Resolves to the id of the conversation that begins. */
  async accept(queueId: string, audienceId?: string): Promise<string> {
    const { event } = await this.call("accept_audience", {
      queue_id: queueId,
      ...(audienceId !== undefined && { audience_id: audienceId }),
    });
    return (event as EventOf<"channel_joined">).channel_id;
  }

  updateQueue(queueId: string, attrs: Partial<QueueAttrs>): Promise<Reply> {
    return this.call("update_queue", { queue_id: queueId, queue_attrs: attrs });
  }

  // Conversations

  sendText(channelId: string, text: string): void {
    this.outbox.send(channelId, text);
    this.typing.stop(channelId);
  }

  resend(channelId: string, messageId: string): void {
    this.outbox.resend(channelId, messageId);
  }

  /** To be called whenever the user changes the text that they are writing. */
  typed(channelId: string, text: string): void {
    if (text.trim()) this.typing.typed(channelId);
    else this.typing.stop(channelId);
  }

  /** Sends a customer on to another queue; the conversation with them is over. */
  transfer(audienceId: string, queueId: string): Promise<Reply> {
    return this.call("transfer_audience", { audience_id: audienceId, queue_id: queueId });
  }

  end(channelId: string): Promise<Reply> {
    return this.call("update_channel", { channel_id: channelId, channel_attrs: { closed: true } });
  }

  part(channelId: string): Promise<Reply> {
    return this.call("part_channel", { channel_id: channelId });
  }

  /** Says which conversation the user has before their eyes; null when the page is hidden. */
  look(channelId: string | null): void {
    if (this.state.value.activeId !== channelId) this.patch({ activeId: channelId });
    this.markRead();
  }

  /** Says whether the user is away from the device. */
  setIdle(isIdle: boolean): void {
    this.connection.post("update_session", { session_idle: isIdle });
  }

  async loadOlder(channelId: string): Promise<void> {
    const oldest = this.state.value.conversations[channelId]?.messages.find((message) => !message.delivery);
    if (oldest) await this.loadHistory(channelId, oldest.id);
  }

  private patch(change: Partial<State>): void {
    this.state.set({ ...this.state.value, ...change });
  }

  private patchConversation(channelId: string, change: Partial<Conversation>): void {
    this.state.set(patchConversation(this.state.value, channelId, () => change));
  }

  private receive(event: WireEvent, payload: Frame[]): void {
    const known = this.state.value.conversations;
    const standInId = event.action_id === undefined ? undefined : this.outbox.standInOf(event.action_id);
    const occasion = { now: Date.now() / 1000, content: payloadJson(payload), standInId };
    this.state.set(apply(this.state.value, event, occasion));
    switch (event.event) {
      case "session_created":
        if (event.user_auth) this.options.rememberUser?.(event.user_id, event.user_auth);
        this.resync();
        break;
      case "user_found":
        if (event.user_id === this.state.value.user?.id) this.resync();
        break;
      case "channel_joined":
        if (!(event.channel_id in known)) void this.loadHistory(event.channel_id);
        break;
      case "queue_joined":
        void this.call("describe_queue", { queue_id: event.queue_id });
        break;
      case "message_received":
        if (event.channel_id === this.state.value.activeId && event.history_length === undefined) this.markRead();
        break;
    }
    this.options.onEvent?.(event);
  }

  /** After a session began or was taken up by a new page: everything that events would have told meanwhile. */
  private resync(): void {
    const { conversations, queues } = this.state.value;
    for (const id of Object.keys(conversations)) {
      void this.call("describe_channel", { channel_id: id });
      void this.loadHistory(id);
    }
    for (const queue of Object.values(queues)) {
      if (queue.member) void this.call("describe_queue", { queue_id: queue.id });
    }
  }

  private async loadHistory(channelId: string, before?: string): Promise<void> {
    const known = this.state.value.conversations[channelId];
    if (known?.history === "missing") this.patchConversation(channelId, { history: "loading" });
    try {
      const { event } = await this.call("load_history", {
        channel_id: channelId,
        history_length: HISTORY_LENGTH,
        history_order: -1,
        ...(before !== undefined && { message_id: before }),
      });
      const isFurthest = before !== undefined || known?.history !== "loaded";
      const hasOlder = (event as EventOf<"history_results">).history_length >= HISTORY_LENGTH;
      this.patchConversation(channelId, { history: "loaded", ...(isFurthest && { hasOlder }) });
      if (before === undefined) this.outbox.reconcile(channelId);
    } catch {
      // Refused or lost with the session; a new session asks again.
      this.patchConversation(channelId, { history: "missing" });
    }
  }

  private markRead(): void {
    clearTimeout(this.readTimer);
    const { activeId, conversations } = this.state.value;
    const conversation = activeId === null ? undefined : conversations[activeId];
    if (!conversation) return;
    if (conversation.unread > 0) this.patchConversation(conversation.id, { unread: 0 });
    this.readTimer = setTimeout(() => {
      const messages = this.state.value.conversations[conversation.id]?.messages ?? [];
      const last = messages.findLast((message) => !message.delivery);
      if (last) this.connection.post("update_session", { channel_id: conversation.id, message_id: last.id });
    }, READ_AFTER_MS);
  }

  private sendWriting(channelId: string, writing: boolean): void {
    const { user, status } = this.state.value;
    // A hint about now is worthless after a reconnect, so it isn't kept for later.
    if (!user || status !== "online") return;
    void this.call("update_member", { channel_id: channelId, user_id: user.id, member_attrs: { writing } });
  }
}
