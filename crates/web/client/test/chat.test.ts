// Owns what the state layer makes of events: history, duplicates, delivery, unread counts, typing, positions.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chatInConversation, CHANNEL, ScriptedSocket, texts, textMessage, useScriptedSocket } from "./scripted-socket.ts";

beforeEach(useScriptedSocket);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function receive(id: string, author: string, text: string, more: object = {}): void {
  ScriptedSocket.latest.event("message_received", textMessage(id, author, more), { text });
}

describe("history", () => {
  it("is complete when none remains, in the order of time, without duplicates", async () => {
    const chat = await chatInConversation();
    receive("12", "you", "newest");
    void chat.loadOlder("c1");
    const action_id = ScriptedSocket.latest.named("load_history")[1]!.action_id;
    expect(ScriptedSocket.latest.named("load_history")[1]!.message_id).toBe("12");
    ScriptedSocket.latest.event("history_results", { action_id, history_length: 3, message_id: "10" });
    receive("12", "you", "newest", { action_id, history_length: 2 });
    receive("11", "me", "middle", { action_id, history_length: 1 });
    receive("10", "you", "oldest", { action_id, history_length: 0 });
    expect(texts(chat)).toEqual(["oldest", "middle", "newest"]);
    ScriptedSocket.latest.cut();
    await vi.advanceTimersByTimeAsync(1_000);
    ScriptedSocket.latest.accept();
    expect(ScriptedSocket.latest.named("load_history")).toEqual([]);
  });

  it("is asked for again when the connection broke in its middle", async () => {
    const chat = await chatInConversation();
    receive("12", "you", "newest");
    void chat.loadOlder("c1");
    const action = ScriptedSocket.latest.named("load_history")[1]!;
    ScriptedSocket.latest.event("history_results", { action_id: action.action_id, history_length: 2, message_id: "10" });
    receive("11", "you", "middle", { action_id: action.action_id, history_length: 1 });
    ScriptedSocket.latest.cut();
    chat.nudge();
    ScriptedSocket.latest.accept();
    expect(ScriptedSocket.latest.named("load_history")[0]!.action_id).toBe(action.action_id);
  });

  it("doesn't count as unread", async () => {
    const chat = await chatInConversation();
    receive("10", "you", "old", { history_length: 0 });
    expect(chat.state.value.conversations.c1!.unread).toBe(0);
  });
});

describe("an own message", () => {
  it("shows at once and is replaced by the acknowledged one, even without its content", async () => {
    const chat = await chatInConversation();
    chat.sendText("c1", "hi");
    expect(chat.state.value.conversations.c1!.messages[0]).toMatchObject({ delivery: "pending" });
    const { action_id } = ScriptedSocket.latest.named("send_message")[0]!;
    ScriptedSocket.latest.event("message_received", textMessage("11", "me", { action_id }));
    const { messages } = chat.state.value.conversations.c1!;
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ id: "11", content: { text: "hi" } });
    expect(messages[0]).not.toHaveProperty("delivery");
  });

  it("fails visibly when refused, and can be sent again", async () => {
    const chat = await chatInConversation();
    chat.sendText("c1", "hi");
    const { action_id } = ScriptedSocket.latest.named("send_message")[0]!;
    ScriptedSocket.latest.event("error", { error_type: "send_rate_limited", action_id });
    await vi.advanceTimersByTimeAsync(0);
    const failed = chat.state.value.conversations.c1!.messages[0]!;
    expect(failed.delivery).toBe("failed");
    chat.resend("c1", failed.id);
    expect(ScriptedSocket.latest.named("send_message")).toHaveLength(2);
  });

  it.each([
    ["is dropped when the history has it", true, 0],
    ["is sent again when the history lacks it", false, 1],
  ])("that was unanswered in a lost session %s", async (_name, arrived, sent) => {
    const chat = await chatInConversation();
    chat.sendText("c1", "hi");
    ScriptedSocket.latest.event("error", { error_type: "session_not_found" });
    const socket = ScriptedSocket.latest;
    socket.accept();
    socket.event("session_created", {
      session_id: "s2",
      user_id: "me",
      user_attrs: {},
      user_channels: { c1: { channel_attrs: CHANNEL.channel_attrs } },
    });
    const { action_id } = socket.named("load_history")[0]!;
    socket.event("history_results", { action_id, history_length: arrived ? 1 : 0 });
    if (arrived) receive("11", "me", "hi", { action_id, history_length: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.named("send_message")).toHaveLength(sent);
    expect(texts(chat)).toEqual(["hi"]);
  });
});

it("an equal message from before isn't taken for one that was lost with the session", async () => {
  const chat = await chatInConversation();
  receive("10", "me", "hi");
  chat.sendText("c1", "hi");
  ScriptedSocket.latest.event("error", { error_type: "session_not_found" });
  const socket = ScriptedSocket.latest;
  socket.accept();
  const user_channels = { c1: { channel_attrs: CHANNEL.channel_attrs } };
  socket.event("session_created", { session_id: "s2", user_id: "me", user_attrs: {}, user_channels });
  const { action_id } = socket.named("load_history")[0]!;
  socket.event("history_results", { action_id, history_length: 1 });
  receive("10", "me", "hi", { action_id, history_length: 0 });
  await vi.advanceTimersByTimeAsync(0);
  expect(socket.named("send_message")).toHaveLength(1);
});

describe("reading", () => {
  it("counts what others write while the user looks elsewhere", async () => {
    const chat = await chatInConversation();
    receive("11", "you", "one");
    // After a server's crash an event may come again under a new event id.
    receive("11", "you", "one");
    receive("12", "me", "own");
    expect(chat.state.value.conversations.c1!.unread).toBe(1);
  });

  it("moves the read marker when the user looks", async () => {
    const chat = await chatInConversation();
    receive("11", "you", "one");
    chat.look("c1");
    expect(chat.state.value.conversations.c1!.unread).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ScriptedSocket.latest.named("update_session")).toEqual([
      { action: "update_session", channel_id: "c1", message_id: "11" },
    ]);
  });
});

describe("typing", () => {
  it("is told at the start and after 30 s without, but not at every key", async () => {
    const chat = await chatInConversation();
    chat.typed("c1", "h");
    await vi.advanceTimersByTimeAsync(20_000);
    chat.typed("c1", "he");
    await vi.advanceTimersByTimeAsync(20_000);
    const told = () => ScriptedSocket.latest.named("update_member").map((action) => action.member_attrs);
    expect(told()).toEqual([{ writing: true }]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(told()).toEqual([{ writing: true }, { writing: false }]);
  });

  it("of others ends with their message", async () => {
    const chat = await chatInConversation();
    const writing = { channel_id: "c1", user_id: "you", member_attrs: { writing: true } };
    ScriptedSocket.latest.event("channel_member_updated", writing);
    expect(Object.keys(chat.state.value.conversations.c1!.writingSince)).toEqual(["you"]);
    receive("11", "you", "done");
    expect(chat.state.value.conversations.c1!.writingSince).toEqual({});
  });
});

describe("queues", () => {
  it("follow the position until the conversation begins", async () => {
    const chat = await chatInConversation();
    const queue_attrs = { name: "Help", length: 3 };
    ScriptedSocket.latest.event("audience_enqueued", { queue_id: "q1", queue_attrs, queue_position: 3, audience_id: "a2" });
    ScriptedSocket.latest.event("queue_updated", { queue_id: "q1", queue_attrs, queue_position: 2 });
    ScriptedSocket.latest.event("realm_queues_found", { realm_id: "r1", realm_queues: { q1: { queue_attrs } } });
    expect(chat.state.value.queues.q1).toMatchObject({ position: 2, realmId: "r1" });
    ScriptedSocket.latest.event("channel_joined", { ...CHANNEL, channel_id: "c2" });
    expect(chat.state.value.queues.q1!.position).toBeUndefined();
  });

  it("keep their length and who waits when only an attribute changes", async () => {
    const chat = await chatInConversation();
    const levee_waiting = [{ audience_id: "a2", user_id: "u2", request_time: 1 }];
    ScriptedSocket.latest.event("queue_found", { queue_id: "q1", queue_attrs: { length: 1 }, queue_time: 5, levee_waiting });
    ScriptedSocket.latest.event("queue_updated", { queue_id: "q1", queue_attrs: { closed: true } });
    expect(chat.state.value.queues.q1).toMatchObject({ attrs: { closed: true, length: 1 }, waiting: levee_waiting });
  });

  it("forget who waited once they are empty", async () => {
    const chat = await chatInConversation();
    const waiting = [{ audience_id: "a2", user_id: "u2", request_time: 1 }];
    ScriptedSocket.latest.event("queue_found", {
      queue_id: "q1",
      queue_attrs: { length: 1 },
      queue_time: 5,
      levee_waiting: waiting,
    });
    expect(chat.state.value.queues.q1!.waiting).toEqual(waiting);
    ScriptedSocket.latest.event("queue_updated", { queue_id: "q1", queue_attrs: { length: 0 } });
    expect(chat.state.value.queues.q1).toMatchObject({ waiting: [], firstSince: undefined });
  });
});
