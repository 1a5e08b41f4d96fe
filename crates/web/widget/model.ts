// Owns the visitor's side of a chat: when a session is opened, what is on view, and what the page is told.
import {
  ActionError,
  Chat,
  initialState,
  isEnded,
  isSpeech,
  Observable,
  siteUser,
  socketUrl,
  Stored,
  tabSession,
  watchPage,
  type Conversation,
  type Metadata,
  type Queue,
  type State,
  type WireEvent,
} from "../client/src/index.ts";
import type { Host } from "./files.tsx";
import { loadFiles } from "./LazyFiles.tsx";
import { pageMetadata } from "./pageMetadata.ts";
import { texts } from "./texts.ts";

export interface Options {
  /** The organisation whose queues are offered. */
  realm: string;
  /** Where the server is; by default where this script came from. */
  address: string;
  /** Offer only these queues, in this order. */
  queues?: string[];
  title?: string;
  userName?: string;
  audienceMetadata?: Metadata;
  initialState?: WindowState;
}

export type WindowState = "hidden" | "minimised" | "open";
export type View =
  | { kind: "connecting" | "superseded" | "refused" | "queues" }
  | { kind: "waiting"; queue: Queue }
  | { kind: "conversation"; conversation: Conversation };
/** All that the widget is drawn from. */
export interface WidgetState {
  chat: State;
  window: WindowState;
  draft: string;
  requestError: string | null;
  /** Whether files were sent since the page was opened. */
  sends: boolean;
  /** Whether the realm's queues have been told; before that none to choose from means nothing. */
  described: boolean;
}
export type LeveeEvent = "open" | "close" | "queued" | "started" | "message" | "ended";

export class WidgetModel {
  // A plain observable, not signals: a page that only embeds the chat shouldn't load 3 kB more for one watcher.
  readonly state: Observable<WidgetState>;
  private chat: Chat;
  private readonly user;
  private readonly savedWindow;
  private readonly listeners = new Map<LeveeEvent, Set<(detail?: unknown) => void>>();

  constructor(readonly options: Options) {
    this.user = siteUser(`levee.${options.realm}.user`);
    this.savedWindow = new Stored<WindowState>(() => sessionStorage, `levee.${options.realm}.window`);
    this.state = new Observable<WidgetState>({
      chat: initialState,
      window: this.savedWindow.load() ?? options.initialState ?? "minimised",
      draft: "",
      requestError: null,
      sends: false,
      described: false,
    });
    this.chat = this.newChat();
    watchPage(() => this.chat.nudge());
    document.addEventListener("visibilitychange", () => this.look());
    // A session of this tab is taken up again, so that a minimised chat still counts what arrives.
    if (this.chat.hasSession || this.isOpen) this.chat.start();
  }

  /** What the part that shows files asks. */
  get host(): Host {
    return { chat: this.chat, server: this.options.address };
  }

  get title(): string {
    return this.options.title ?? texts.title;
  }

  get isOpen(): boolean {
    return this.state.value.window === "open";
  }

  setWindow(next: WindowState): void {
    if (next === this.state.value.window) return;
    this.patch({ window: next });
    this.savedWindow.save(next);
    if (next === "open" && this.state.value.chat.status === "idle") this.chat.start();
    this.look();
    this.tell(next === "open" ? "open" : "close");
  }

  async request(queueId: string): Promise<void> {
    this.patch({ requestError: null });
    try {
      await this.chat.call("request_audience", {
        queue_id: queueId,
        audience_metadata: { ...pageMetadata(), ...this.options.audienceMetadata },
      });
    } catch (error) {
      const type = error instanceof ActionError ? error.type : "";
      this.patch({ requestError: texts.requestErrors[type] ?? texts.requestFailed });
    }
  }

  /** Gives the place in the queue up: without a session there is nobody to wait. */
  leaveQueue(): void {
    this.chat.close();
    this.user.save(null);
    this.restart();
  }

  async startAgain(conversation: Conversation): Promise<void> {
    await this.chat.part(conversation.id).catch(() => undefined);
    this.describeQueues();
  }

  retry(): void {
    this.chat.start();
  }

  takeOver(): void {
    this.chat.takeOver();
  }

  write(conversation: Conversation, text: string): void {
    this.patch({ draft: text });
    this.chat.typed(conversation.id, text);
  }

  send(conversation: Conversation, text: string): void {
    this.chat.sendText(conversation.id, text);
    this.patch({ draft: "" });
  }

  async sendFiles(conversation: Conversation, files: File[]): Promise<void> {
    if (!files[0]) return;
    const { host } = this;
    this.patch({ requestError: null, sends: true });
    try {
      (await loadFiles(host)).send(host, conversation, files);
    } catch {
      this.patch({ requestError: texts.requestFailed });
    }
  }

  resend(conversation: Conversation, messageId: string): void {
    this.chat.resend(conversation.id, messageId);
  }

  loadOlder(conversation: Conversation): void {
    void this.chat.loadOlder(conversation.id);
  }

  on(event: LeveeEvent, listener: (detail?: unknown) => void): () => void {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  private newChat(): Chat {
    const { realm, address, userName } = this.options;
    const chat = new Chat({
      url: socketUrl(address),
      store: tabSession(`levee.${realm}.session`),
      credentials: () => this.user.load() ?? { user_attrs: userName ? { name: userName } : {} },
      rememberUser: (user_id, user_auth) => this.user.save({ user_id, user_auth }),
      onEvent: (event) => this.receive(event),
    });
    chat.state.subscribe((state) => this.stateChanged(state));
    return chat;
  }

  private restart(): void {
    this.chat = this.newChat();
    this.patch({ chat: this.chat.state.value, described: false });
    if (this.isOpen) this.chat.start();
  }

  private patch(change: Partial<WidgetState>): void {
    this.state.set({ ...this.state.value, ...change });
  }

  private stateChanged(state: State): void {
    const before = this.state.value.chat.status;
    this.patch({ chat: state });
    // A guest whose account has expired is simply a new guest.
    if (state.status === "refused" && before !== "refused" && this.user.load()) {
      this.user.save(null);
      queueMicrotask(() => this.chat.start());
    }
  }

  private receive(event: WireEvent): void {
    switch (event.event) {
      case "session_created":
      case "user_found":
        if (viewOf(this.state.value.chat).kind === "queues") this.describeQueues();
        this.look();
        break;
      case "realm_queues_found":
        this.patch({ described: true });
        break;
      case "audience_enqueued":
        // In the middle of a conversation this is a transfer: the wait replaces what was before.
        for (const id of Object.keys(this.state.value.chat.conversations)) void this.chat.part(id);
        this.tell("queued", { queueId: event.queue_id, position: event.queue_position });
        break;
      case "channel_joined":
        this.patch({ draft: "" });
        this.look();
        this.tell("started");
        break;
      case "channel_updated":
        if (event.channel_attrs.closed || event.channel_attrs.suspended) this.tell("ended");
        break;
      case "message_received": {
        const { messages } = this.state.value.chat.conversations[event.channel_id ?? ""] ?? {};
        const message = messages?.find(({ id }) => id === event.message_id);
        const isOwn = event.message_user_id === this.state.value.chat.user?.id;
        if (message && !isOwn && isSpeech(message) && event.history_length === undefined) this.tell("message");
        break;
      }
    }
  }

  private describeQueues(): void {
    void this.chat.describeRealmQueues(this.options.realm, this.options.queues);
  }

  private look(): void {
    const isSeen = this.isOpen && document.visibilityState === "visible";
    const view = viewOf(this.state.value.chat);
    this.chat.look(isSeen && view.kind === "conversation" ? view.conversation.id : null);
  }

  private tell(event: LeveeEvent, detail?: unknown): void {
    for (const listener of this.listeners.get(event) ?? []) {
      try {
        listener(detail);
      } catch (error) {
        // The page's mistake must not stop the chat.
        console.error(error);
      }
    }
  }
}

/** The queues that the visitor may choose from. */
export function offeredQueues({ queues }: State, { queues: wanted, realm }: Options): Queue[] {
  const all = Object.values(queues).filter(({ realmId }) => realmId === undefined || realmId === realm);
  if (!wanted) return all.sort((a, b) => (a.attrs.name ?? "").localeCompare(b.attrs.name ?? ""));
  return wanted.flatMap((id) => all.find((queue) => queue.id === id) ?? []);
}

/** What is on view follows from the state alone, so a reload leads back to the same place. */
export function viewOf(state: State): View {
  if (state.status === "refused" || state.status === "superseded") return { kind: state.status };
  if (!state.ready) return { kind: "connecting" };
  const queue = Object.values(state.queues).find(({ position }) => position !== undefined);
  if (queue) return { kind: "waiting", queue };
  const conversations = Object.values(state.conversations);
  const conversation = conversations.find((candidate) => !isEnded(candidate)) ?? conversations.at(-1);
  return conversation ? { kind: "conversation", conversation } : { kind: "queues" };
}
