// Owns one session over a succession of WebSockets: opening, resuming, acknowledging, resending, giving up.
// It knows nothing of users, queues or conversations.
import { Backoff } from "./backoff.ts";
import { Deframer, type Frame } from "./frames.ts";
import { Heartbeat } from "./heartbeat.ts";
import { ActionError, PendingActions, toActionError, type Dispatched, type StoredAction } from "./pending.ts";
import { MESSAGE_TYPES, SUBPROTOCOL, type ActionName, type ActionParams, type WireEvent } from "./wire.ts";

export type ConnectionStatus =
  | "idle"
  | "connecting"
  | "online"
  | "reconnecting"
  | "superseded" // another connection took the session; this one stays away
  | "refused" // the server won't open a session with these credentials
  | "closed";

/** All that a later page needs to go on with a session. */
export interface SavedSession {
  session_id: string;
  event_id: number;
  action_id: number;
  actions: StoredAction[];
}

export interface SessionStore {
  load(): SavedSession | null;
  save(session: SavedSession | null): void;
}

export type SessionParams = Omit<ActionParams["create_session"], "message_types">;

export interface ConnectionHandlers {
  /** Every event but connection-level errors, in order. */
  event(event: WireEvent, payload: Frame[]): void;
  status(status: ConnectionStatus, error?: ActionError): void;
  /** The session has been confirmed after a page load; its events before that aren't known. */
  adopted(): void;
  /** The session is gone with everything unanswered; a new one follows if there are credentials. */
  lost(): void;
}

export interface ConnectionOptions {
  url: string;
  handlers: ConnectionHandlers;
  store?: SessionStore;
  /** Asked for each new session; null when there is nothing to log in with. */
  credentials(): SessionParams | null;
}

const CONNECT_TIMEOUT_MS = 10_000;
const ACKNOWLEDGE_AFTER_MS = 3_000;
const SESSION_ENDING = new Set(["session_not_found", "session_buffer_overflow"]);
/** Actions whose answers are of no use to a later page. */
const QUESTIONS = /^(describe_.*|load_history|update_session|update_member|.*_upload)$/;
/** Errors that the same `create_session` may survive later. */
const TRANSIENT = new Set(["internal", "send_rate_limited", "message_dropped"]);

export class Connection {
  private socket: WebSocket | null = null;
  private sessionId: string | null = null;
  private receivedId = 0;
  private acknowledgedId = 0;
  private pending = new PendingActions();
  private status: ConnectionStatus = "idle";
  private adopting = false;
  private readonly backoff = new Backoff();
  private readonly heartbeat: Heartbeat;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private connectTimer: ReturnType<typeof setTimeout> | undefined;
  private ackTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: ConnectionOptions) {
    this.heartbeat = new Heartbeat({
      keepAlive: () => this.socket?.send(""),
      probe: () => this.sendHeader({ action: "ping" }),
      dead: () => this.reconnect(),
    });
    const saved = options.store?.load();
    if (saved) {
      this.sessionId = saved.session_id;
      this.receivedId = this.acknowledgedId = saved.event_id;
      this.pending = new PendingActions(saved.action_id, saved.actions);
      this.adopting = true;
    }
  }

  /** Whether `start` would go on with an earlier session. */
  get hasSession(): boolean {
    return this.sessionId !== null;
  }

  start(): void {
    if (this.socket) return;
    this.setStatus("connecting");
    this.open();
  }

  /** Sends an action; it is resent until answered, so the reply may take as long as an outage does. */
  dispatch<A extends ActionName>(action: A, params: ActionParams[A], payload: string[] = []): Dispatched {
    const { stored, reply } = this.pending.add(action, params, payload);
    // An open socket of a session has been greeted; what comes before that is sent by the greeting.
    if (this.sessionId && this.socket?.readyState === WebSocket.OPEN) this.send(stored);
    this.persist();
    return { actionId: stored.header.action_id, reply };
  }

  /** Sends an action that has no reply; lost if there is no connection now. */
  post<A extends ActionName>(action: A, params: ActionParams[A]): void {
    if (this.status === "online") this.sendHeader({ action, ...params });
  }

  /** The page woke up or the network changed: try now, or check that the socket is alive. */
  nudge(): void {
    if (this.status === "online") this.heartbeat.probeNow();
    else if (this.retryTimer !== undefined) this.open();
  }

  /** Ends the session for good. */
  close(): void {
    if (this.sessionId && this.socket?.readyState === WebSocket.OPEN) this.sendHeader({ action: "close_session" });
    this.forget(new ActionError("session_closed"));
    this.stop("closed");
  }

  /** Leaves an earlier session to whoever took it, and opens one of this page's own. */
  takeOver(): void {
    this.forget(new ActionError("session_lost"));
    this.dropSocket();
    this.start();
  }

  private open(): void {
    this.clearTimers();
    const socket = new WebSocket(this.options.url, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const deframer = new Deframer((event, payload) => {
      if (this.socket === socket) this.receive(event, payload);
    });
    this.connectTimer = setTimeout(() => this.reconnect(), CONNECT_TIMEOUT_MS);
    socket.onopen = () => this.greet();
    socket.onmessage = (message: MessageEvent<Frame>) => {
      if (this.socket !== socket) return;
      this.heartbeat.received();
      deframer.push(message.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.reconnect();
    };
  }

  private greet(): void {
    if (this.sessionId) {
      this.sendHeader({ action: "resume_session", session_id: this.sessionId, event_id: this.receivedId });
      this.acknowledgedId = this.receivedId;
      for (const action of this.pending.all()) this.send(action);
      // A resume has no reply of its own; the answer to a ping tells that the session is live.
      this.sendHeader({ action: "ping" });
      return;
    }
    const credentials = this.options.credentials();
    if (credentials) this.sendHeader({ action: "create_session", ...credentials, message_types: MESSAGE_TYPES });
    else this.stop("refused");
  }

  private receive(event: WireEvent, payload: Frame[]): void {
    if (event.event === "error" && event.action_id === undefined && this.connectionError(event)) return;
    if (event.event_id !== undefined) {
      if (event.event_id <= this.receivedId) return;
      this.receivedId = event.event_id;
      this.ackTimer ??= setTimeout(() => this.acknowledge(), ACKNOWLEDGE_AFTER_MS);
    }
    if (event.event === "session_created") this.created(event.session_id);
    else if (this.status !== "online") this.confirmed();
    if (event.event !== "pong") this.options.handlers.event(event, payload);
    this.pending.settle(event, payload);
    this.persist();
  }

  private created(sessionId: string): void {
    this.sessionId = sessionId;
    this.acknowledgedId = 0;
    this.adopting = false;
    this.confirmed();
    // What was asked for while there was no session yet.
    for (const action of this.pending.all()) this.send(action);
  }

  private confirmed(): void {
    clearTimeout(this.connectTimer);
    this.backoff.reset();
    this.heartbeat.start();
    this.setStatus("online");
    if (this.adopting) {
      this.adopting = false;
      this.options.handlers.adopted();
    }
  }

  /** Errors about the connection or session as a whole. Returns whether it was one. */
  private connectionError(event: WireEvent & { event: "error" }): boolean {
    const type = event.error_type;
    if (type === "connection_superseded") {
      this.stop("superseded");
    } else if (this.sessionId && SESSION_ENDING.has(type)) {
      this.forget(new ActionError("session_lost"));
      this.options.handlers.lost();
      this.dropSocket();
      if (this.options.credentials()) this.open();
      else this.stop("refused", toActionError(event));
    } else if (!this.sessionId && !TRANSIENT.has(type) && type !== "deprecated") {
      this.stop("refused", toActionError(event));
    } else {
      return this.sessionId === null;
    }
    return true;
  }

  private acknowledge(): void {
    this.ackTimer = undefined;
    if (this.receivedId > this.acknowledgedId && this.status === "online") {
      this.sendHeader({ action: "resume_session", event_id: this.receivedId });
      this.acknowledgedId = this.receivedId;
    }
  }

  private send(action: StoredAction): void {
    const acknowledgement: { event_id?: number } = {};
    if (this.receivedId > this.acknowledgedId) {
      acknowledgement.event_id = this.acknowledgedId = this.receivedId;
      clearTimeout(this.ackTimer);
      this.ackTimer = undefined;
    }
    this.sendHeader({ ...action.header, ...acknowledgement });
    for (const part of action.payload) this.socket?.send(part);
  }

  private sendHeader(header: { action: ActionName } & Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(header));
  }

  private reconnect(): void {
    this.dropSocket();
    this.setStatus(this.status === "connecting" ? "connecting" : "reconnecting");
    this.retryTimer = setTimeout(() => this.open(), this.backoff.next());
  }

  private stop(status: ConnectionStatus, error?: ActionError): void {
    this.dropSocket();
    this.setStatus(status, error);
  }

  private dropSocket(): void {
    this.clearTimers();
    this.heartbeat.stop();
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private clearTimers(): void {
    clearTimeout(this.retryTimer);
    clearTimeout(this.connectTimer);
    clearTimeout(this.ackTimer);
    this.retryTimer = this.connectTimer = this.ackTimer = undefined;
  }

  private forget(error: ActionError): void {
    this.sessionId = null;
    this.receivedId = this.acknowledgedId = 0;
    this.adopting = false;
    this.pending.abandon(error);
    this.options.store?.save(null);
  }

  private persist(): void {
    if (!this.sessionId) return;
    this.options.store?.save({
      session_id: this.sessionId,
      event_id: this.receivedId,
      action_id: this.pending.lastActionId,
      actions: this.pending
        .all()
        .filter(({ header }) => !QUESTIONS.test(header.action))
        .map(({ header, payload }) => ({ header, payload })),
    });
  }

  private setStatus(status: ConnectionStatus, error?: ActionError): void {
    if (status === this.status && !error) return;
    this.status = status;
    this.options.handlers.status(status, error);
  }
}
