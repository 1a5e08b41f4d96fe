// Owns the agent's side: logging in and out, what is shown, drafts, and the clock for waits.
import { computed, effect, signal, type Signal } from "@preact/signals";
import {
  ActionError,
  askBeforeLeaving,
  Chat,
  FileLinks,
  initialState,
  siteUser,
  socketUrl,
  tabSession,
  Uploads,
  watchPage,
  type Conversation,
  type EventOf,
  type Queue,
  type SessionParams,
  type State,
} from "../client/src/index.ts";
import { watchIdleness } from "./idleness.ts";
import { navigate, route } from "./route.ts";
import { texts } from "./texts.ts";

const SHOWN_MS = 10_000;

export const state = signal<State>(initialState);
/** Seconds; ticks while the page is open, for timers of those who wait. */
export const now = signal(Date.now() / 1000);
/** The last thing that didn't work, in words. */
export const problem = signal<string | null>(null);
/** The last thing that worked, where nothing else shows it. */
export const news = signal<string | null>(null);
/** Whether the session that is being opened is one that somebody just asked for at the login page. */
export const loggingIn = signal(false);
export const drafts = signal<Record<string, string>>({});

const savedUser = siteUser("levee.console.user");
/** Kept in memory only: lets the page begin a new session if the server lost the present one. */
let identity: SessionParams | null = null;
let chat = newChat();
let links = new FileLinks(chat, location.origin);
let sending = newUploads();

export const queues = computed<Queue[]>(() =>
  Object.values(state.value.queues)
    .filter(({ member }) => member)
    .sort((a, b) => (a.attrs.name ?? "").localeCompare(b.attrs.name ?? "")),
);

/** Customer conversations, the most recently active first. */
export const conversations = computed<Conversation[]>(() =>
  Object.values(state.value.conversations).sort((a, b) => lastTime(b) - lastTime(a)),
);

/** Who is logged in, also while the connection is away for a moment. */
export const currentUser = computed(() => {
  const { status, ready, user } = state.value;
  return ready && (status === "online" || status === "reconnecting") ? user : null;
});

export const unread = computed(() => conversations.value.reduce((sum, conversation) => sum + conversation.unread, 0));

export function start(): void {
  setInterval(() => (now.value = Date.now() / 1000), 1_000);
  watchPage(() => {
    chat.nudge();
    sending.nudge();
  });
  askBeforeLeaving(() => sending.isBusy);
  const isVisible = signal(document.visibilityState === "visible");
  document.addEventListener("visibilitychange", () => (isVisible.value = document.visibilityState === "visible"));
  watchIdleness((isIdle) => chat.setIdle(isIdle));
  effect(() => {
    const shown = route.value;
    chat.look(isVisible.value && shown.page === "conversation" ? shown.id : null);
  });
  effect(() => {
    // Whoever goes on has read it, or doesn't care.
    if (route.value.page !== "home") news.value = null;
  });
  effect(() => {
    document.title = unread.value > 0 ? `(${unread.value}) ${texts.product}` : texts.product;
  });
  if (chat.hasSession || savedUser.load()) chat.start();
}

export function logIn(email: string, password: string): void {
  loggingIn.value = true;
  identity = { identity_type: "email", identity_name: email, identity_auth: password };
  chat.start();
}

export function logOut(): void {
  leave();
  navigate({ page: "home" });
}

/** Leaves whatever session there is for another one, and waits until that is there. */
export function openSession(params: SessionParams): Promise<void> {
  leave();
  identity = params;
  chat.start();
  return untilReady(chat);
}

/** Uses an access key to a channel up. Resolves to the channel's id. */
export async function joinByKey(accessKey: string): Promise<string> {
  const { event } = await chat.call("join_channel", { access_key: accessKey });
  return (event as EventOf<"channel_joined">).channel_id;
}

/** Whether the user is a member of a channel. */
export async function isMemberOf(channelId: string): Promise<boolean> {
  const { event } = await chat.call("describe_channel", { channel_id: channelId });
  const members = (event as EventOf<"channel_found">).channel_members ?? {};
  return currentUser.value !== null && currentUser.value.id in members;
}

export function takeOver(): void {
  chat.takeOver();
}

export async function pick(queueId: string, audienceId?: string): Promise<void> {
  await attempt(async () => navigate({ page: "conversation", id: await chat.accept(queueId, audienceId) }));
}

export async function setQueueClosed(queueId: string, closed: boolean): Promise<void> {
  await attempt(() => chat.updateQueue(queueId, { closed }));
}

export async function endConversation(id: string): Promise<void> {
  await attempt(() => chat.end(id));
}

/** Which queues a conversation's customer may be transferred to by this agent. */
export function transferIds({ attrs, members }: Conversation): string[] {
  const { operator, moderator = operator } = members[state.value.user?.id ?? ""]?.member_attrs ?? {};
  const ids = state.value.queues[attrs.queue_id ?? ""]?.transferIds ?? [];
  return moderator && attrs.audience_id !== undefined ? ids.filter((id) => id !== attrs.queue_id) : [];
}

/** Learns what the queues are that this agent isn't a member of, but may transfer customers to. */
export async function describeTransferTargets(conversation: Conversation): Promise<void> {
  const { queues } = state.value;
  const realmId = queues[conversation.attrs.queue_id ?? ""]?.realmId;
  const strange = transferIds(conversation).filter((id) => !queues[id]?.member);
  // What is gone or somewhere else stays unknown, and isn't offered.
  if (realmId !== undefined && strange[0]) await chat.describeRealmQueues(realmId, strange).catch(() => undefined);
}

/** Resolves to why it didn't work, in words. */
export async function transfer(conversation: Conversation, name: string, queue: Queue): Promise<string | null> {
  try {
    await chat.transfer(conversation.attrs.audience_id ?? "", queue.id);
  } catch (error) {
    return texts.transferErrors[error instanceof ActionError ? error.type : ""] ?? texts.failed;
  }
  if (route.value.page === "conversation" && route.value.id === conversation.id) navigate({ page: "home" });
  show(news, texts.transferred(name, queueName(queue)));
  // The dialog that had the focus is gone.
  document.getElementById("main")?.focus();
  return null;
}

export function queueName({ id, attrs }: Queue): string {
  return attrs.name ?? id;
}

export async function hideConversation(id: string): Promise<void> {
  await attempt(() => chat.part(id));
  if (route.value.page === "conversation" && route.value.id === id) navigate({ page: "home" });
}

/** Where this session's files are. */
export function fileLinks(): FileLinks {
  return links;
}

/** The files that this session sends. */
export function uploads(): Uploads {
  return sending;
}

export function write(id: string, text: string): void {
  drafts.value = { ...drafts.value, [id]: text };
  chat.typed(id, text);
}

export function send(id: string, text: string): void {
  chat.sendText(id, text);
  drafts.value = { ...drafts.value, [id]: "" };
}

export function resend(id: string, messageId: string): void {
  chat.resend(id, messageId);
}

export function loadOlder(id: string): void {
  void chat.loadOlder(id);
}

async function attempt(work: () => Promise<unknown>): Promise<void> {
  problem.value = null;
  try {
    await work();
  } catch (error) {
    const type = error instanceof ActionError ? error.type : "";
    // Logging out takes the unanswered with it, which is nobody's problem.
    if (type === "session_closed") return;
    show(problem, texts.pickErrors[type] ?? texts.failed);
  }
}

/** Shows a text for a while. */
function show(place: Signal<string | null>, text: string): void {
  place.value = text;
  setTimeout(() => {
    if (place.value === text) place.value = null;
  }, SHOWN_MS);
}

function leave(): void {
  sending.close();
  chat.close();
  identity = null;
  savedUser.save(null);
  drafts.value = {};
  chat = newChat();
  links = new FileLinks(chat, location.origin);
  sending = newUploads();
  state.value = chat.state.value;
}

function untilReady(opening: Chat): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = opening.state.subscribe(({ ready, status, errorType }) => {
      const isOver = status === "refused" || status === "closed";
      if (!ready && !isOver) return;
      stop();
      if (isOver) reject(new ActionError(errorType ?? "session_closed"));
      else resolve();
    });
  });
}

function newChat(): Chat {
  const created = new Chat({
    url: socketUrl(location.origin),
    store: tabSession("levee.console.session"),
    credentials: () => identity ?? savedUser.load(),
    rememberUser: (user_id, user_auth) => savedUser.save({ user_id, user_auth }),
  });
  created.state.subscribe((next) => {
    state.value = next;
    if (next.status !== "connecting" && next.status !== "idle") loggingIn.value = false;
    if (next.status === "refused") {
      // What was refused once is refused for ever; the login page asks for something else.
      identity = null;
      savedUser.save(null);
    }
  });
  return created;
}

function newUploads(): Uploads {
  return new Uploads(chat, location.origin, async () => (await import("../client/src/tus.ts")).carry);
}

function lastTime({ messages }: Conversation): number {
  // A conversation without messages has just begun.
  return messages.at(-1)?.time ?? Infinity;
}
