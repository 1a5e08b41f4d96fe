// Owns what a session promises over broken connections: resume, resend, acknowledge, give way, begin anew.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chatInConversation, makeChat, MemoryStore, ScriptedSocket, texts, textMessage, useScriptedSocket } from "./scripted-socket.ts";

beforeEach(useScriptedSocket);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function reconnected(): Promise<ScriptedSocket> {
  ScriptedSocket.latest.cut();
  await vi.advanceTimersByTimeAsync(1_000);
  ScriptedSocket.latest.accept();
  return ScriptedSocket.latest;
}

describe("a session", () => {
  it("asks for the subprotocol and all of the protocol's message types", () => {
    makeChat().start();
    ScriptedSocket.latest.accept();
    expect(ScriptedSocket.latest.protocol).toBe("ninchat.com");
    expect(ScriptedSocket.latest.actions).toEqual([{ action: "create_session", message_types: ["ninchat.com/*"] }]);
  });

  it("numbers actions from 1", async () => {
    await chatInConversation();
    expect(ScriptedSocket.latest.named("load_history")[0]!.action_id).toBe(1);
  });

  it("understands binary frames and ignores empty ones", async () => {
    const chat = await chatInConversation();
    const bytes = (value: object) => new TextEncoder().encode(JSON.stringify(value)).buffer;
    ScriptedSocket.latest.frame("");
    ScriptedSocket.latest.frame(new ArrayBuffer(0));
    ScriptedSocket.latest.frame(bytes({ event: "message_received", event_id: 4, frames: 1, ...textMessage("11", "you") }));
    ScriptedSocket.latest.frame(bytes({ text: "hello" }));
    expect(texts(chat)).toEqual(["hello"]);
  });
});

describe("acknowledgement", () => {
  it("rides on the next action", async () => {
    const chat = await chatInConversation();
    chat.sendText("c1", "hi");
    expect(ScriptedSocket.latest.named("send_message")[0]!.event_id).toBe(3);
    chat.sendText("c1", "again");
    expect(ScriptedSocket.latest.named("send_message")[1]).not.toHaveProperty("event_id");
  });

  it("goes alone when nothing else is sent for a few seconds", async () => {
    await chatInConversation();
    ScriptedSocket.latest.event("message_received", { event_id: 4, ...textMessage("11", "you") }, { text: "hello" });
    await vi.advanceTimersByTimeAsync(4_000);
    expect(ScriptedSocket.latest.actions.at(-1)).toEqual({ action: "resume_session", event_id: 4 });
  });
});

describe("after a lost connection", () => {
  it("resumes with the last event and resends what is unanswered, in order and under the same ids", async () => {
    const chat = await chatInConversation();
    chat.sendText("c1", "one");
    chat.sendText("c1", "two");
    const sent = ScriptedSocket.latest.named("send_message").map(({ action_id }) => action_id);
    const socket = await reconnected();
    expect(socket.actions[0]).toEqual({ action: "resume_session", session_id: "s1", event_id: 3 });
    expect(socket.named("send_message").map(({ action_id }) => action_id)).toEqual(sent);
    expect(socket.frames.filter((frame) => frame.startsWith('{"text"'))).toEqual(['{"text":"one"}', '{"text":"two"}']);
  });

  it("sends what was written meanwhile, once", async () => {
    const chat = await chatInConversation();
    ScriptedSocket.latest.cut();
    chat.sendText("c1", "written offline");
    await vi.advanceTimersByTimeAsync(1_000);
    ScriptedSocket.latest.accept();
    const [action] = ScriptedSocket.latest.named("send_message");
    ScriptedSocket.latest.event(
      "message_received",
      { event_id: 4, action_id: action!.action_id, ...textMessage("11", "me") },
      { text: "written offline" },
    );
    expect(texts(chat)).toEqual(["written offline"]);
    expect((await reconnected()).named("send_message")).toEqual([]);
  });

  it("doesn't go back in time when events are sent again", async () => {
    const chat = await chatInConversation();
    const position = (event_id: number, queue_position: number) =>
      ScriptedSocket.latest.event("queue_updated", { event_id, queue_id: "q1", queue_attrs: { length: 3 }, queue_position });
    position(4, 3);
    position(5, 2);
    await reconnected();
    position(4, 3);
    expect(chat.state.value.queues.q1!.position).toBe(2);
  });

  it("shows a repeated message once", async () => {
    const chat = await chatInConversation();
    const event = { event_id: 4, ...textMessage("11", "you") };
    ScriptedSocket.latest.event("message_received", event, { text: "hello" });
    (await reconnected()).event("message_received", event, { text: "hello" });
    expect(texts(chat)).toEqual(["hello"]);
    expect(chat.state.value.conversations.c1!.unread).toBe(1);
  });

  it("waits longer after each failure", async () => {
    await chatInConversation();
    ScriptedSocket.latest.cut();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const count = ScriptedSocket.opened.length;
      let waited = 0;
      for (; ScriptedSocket.opened.length === count; waited += 50) await vi.advanceTimersByTimeAsync(50);
      waits.push(waited);
      ScriptedSocket.latest.cut();
    }
    expect(waits[3]).toBeGreaterThan(waits[0]! * 3);
  });

  it("tries at once when the page wakes up", async () => {
    const chat = await chatInConversation();
    ScriptedSocket.latest.cut();
    chat.nudge();
    expect(ScriptedSocket.opened).toHaveLength(2);
  });

  it("gives a silent connection up after 65 seconds", async () => {
    const chat = await chatInConversation();
    await vi.advanceTimersByTimeAsync(50_000);
    expect(ScriptedSocket.latest.named("ping")).toHaveLength(1);
    expect(chat.state.value.status).toBe("online");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(ScriptedSocket.opened.length).toBeGreaterThan(1);
  });

  it("keeps a connection that sends keep-alive frames", async () => {
    await chatInConversation();
    for (let second = 0; second < 120; second += 30) {
      await vi.advanceTimersByTimeAsync(30_000);
      ScriptedSocket.latest.frame("");
    }
    expect(ScriptedSocket.opened).toHaveLength(1);
    expect(ScriptedSocket.latest.frames).toContain("");
  });
});

describe("a superseded connection", () => {
  it("stays away and reports it", async () => {
    const chat = await chatInConversation();
    ScriptedSocket.latest.event("error", { error_type: "connection_superseded" });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(chat.state.value.status).toBe("superseded");
    expect(ScriptedSocket.opened).toHaveLength(1);
  });
});

describe("a lost session", () => {
  it("is replaced with stored credentials", async () => {
    const chat = await chatInConversation({ credentials: () => ({ user_id: "me", user_auth: "secret" }) });
    (await reconnected()).event("error", { error_type: "session_not_found" });
    ScriptedSocket.latest.accept();
    expect(ScriptedSocket.latest.actions).toEqual([
      { action: "create_session", user_id: "me", user_auth: "secret", message_types: ["ninchat.com/*"] },
    ]);
    ScriptedSocket.latest.event("session_created", {
      event_id: 1,
      session_id: "s2",
      user_id: "me",
      user_attrs: {},
      user_channels: { c1: { channel_attrs: { queue_id: "q1" } } },
    });
    expect(chat.state.value.status).toBe("online");
    expect(ScriptedSocket.latest.named("load_history")[0]!.action_id).toBe(2);
  });

  it("is reported when there are none", async () => {
    let credentials: object | null = {};
    const chat = await chatInConversation({ credentials: () => credentials });
    credentials = null;
    (await reconnected()).event("error", { error_type: "session_not_found" });
    expect(chat.state.value.status).toBe("refused");
    expect(chat.state.value.errorType).toBe("session_not_found");
  });

  it("is reported when the credentials are refused", () => {
    const chat = makeChat();
    chat.start();
    ScriptedSocket.latest.accept();
    ScriptedSocket.latest.event("error", { error_type: "access_denied" });
    expect(chat.state.value).toMatchObject({ status: "refused", errorType: "access_denied" });
  });
});

describe("a reloaded page", () => {
  it("goes on with the session, its events and its action ids", async () => {
    const store = new MemoryStore();
    const first = await chatInConversation({ store });
    first.sendText("c1", "on the way");
    const chat = makeChat({ store: new MemoryStore(structuredClone(store.saved)) });
    chat.start();
    const socket = ScriptedSocket.latest;
    socket.accept();
    expect(socket.actions[0]).toEqual({ action: "resume_session", session_id: "s1", event_id: 3 });
    expect(socket.named("send_message")[0]!.action_id).toBe(2);
    socket.event("pong");
    expect(socket.named("describe_user")[0]!.action_id).toBe(3);
    socket.event("user_found", {
      action_id: 3,
      user_id: "me",
      user_attrs: {},
      user_queues: { q1: { queue_attrs: { name: "Help" }, queue_position: 2 } },
    });
    expect(chat.state.value.queues.q1).toMatchObject({ position: 2, member: false });
  });
});
