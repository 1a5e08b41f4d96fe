// Owns how conversations are laid out: groups, days, quiet lines, and what stays out of sight.
import { describe, expect, it } from "vitest";
import type { Conversation, Message } from "../client/src/state.ts";
import { duration } from "./time.ts";
import { timeline, type Row, type Side } from "./timeline.ts";

const NOON = new Date(2026, 4, 5, 12).getTime() / 1000;
const QUEUES: Record<string, string> = { orders: "Orders" };
const TODAY = new Date(NOON * 1000).toDateString();

function message(id: number, userId: string | undefined, content: object, more: Partial<Message> = {}): Message {
  return { id: String(id), time: NOON + id, type: "ninchat.com/text", userId, content: { ...content }, ...more };
}

function rows(messages: Message[], side: Side = "agent"): Row[] {
  const conversation: Conversation = {
    id: "c",
    attrs: {},
    members: { guest: { user_attrs: { guest: true }, member_attrs: {} } },
    writingSince: {},
    metadata: {},
    messages,
    uploads: {},
    unread: 0,
    history: "loaded",
    hasOlder: false,
  };
  return timeline(conversation, "me", side, (userId, writtenAs) => writtenAs ?? userId ?? "?", (id) => QUEUES[id], TODAY);
}

const kinds = (all: Row[]) => all.map(({ kind }) => kind);

describe("a timeline", () => {
  it("groups what one author writes in a row", () => {
    const all = rows([message(1, "guest", { text: "a" }), message(2, "guest", { text: "b" }), message(3, "me", { text: "c" })]);
    expect(kinds(all)).toEqual(["group", "group"]);
    expect(all[0]).toMatchObject({ own: false, messages: [{ id: "1" }, { id: "2" }] });
    expect(all[1]).toMatchObject({ own: true });
  });

  it("begins a new group after a pause", () => {
    expect(rows([message(1, "me", { text: "a" }), message(400, "me", { text: "b" })])).toHaveLength(2);
  });

  it("names a day only where it isn't today", () => {
    const yesterday = message(1, "me", { text: "a" }, { time: NOON - 86_400 });
    expect(kinds(rows([yesterday, message(2, "me", { text: "b" })]))).toEqual(["day", "group", "day", "group"]);
    expect(kinds(rows([message(2, "me", { text: "b" })]))).toEqual(["group"]);
  });

  it("leaves out what is hidden, folded or signalling", () => {
    const hidden = message(1, "guest", { text: "a" }, { hidden: true });
    const folded = message(2, "guest", { data: { cart: 1 } }, { type: "ninchat.com/metadata", fold: true });
    const call = message(3, "guest", {}, { type: "ninchat.com/rtc/call" });
    expect(rows([hidden, folded, call])).toEqual([]);
  });

  it("tells both that the conversation ended, and only the agent what the page reports", () => {
    const ended = message(1, undefined, { channel_attrs_new: { closed: true } }, { type: "ninchat.com/info/channel" });
    const moved = message(2, "guest", { data: { page: "/cart" } }, { type: "ninchat.com/metadata" });
    expect(rows([ended, moved])).toMatchObject([{ text: "Conversation ended" }, { text: "page: /cart" }]);
    expect(rows([ended, moved], "customer")).toMatchObject([{ text: "Conversation ended" }]);
  });

  it("tells where a customer was transferred from", () => {
    const from = (queue_id: string) => message(1, undefined, { queue_id }, { type: "ninchat.com/info/transfer/source" });
    expect(rows([from("orders"), from("elsewhere")])).toMatchObject([
      { text: "Transferred from Orders" },
      { text: "Transferred from another queue" },
    ]);
  });

  it("doesn't tell people of their own coming", () => {
    const joined = (userId: string) => message(1, undefined, { user_id: userId }, { type: "ninchat.com/info/join" });
    expect(rows([joined("me")])).toEqual([]);
    expect(rows([joined("guest")])).toEqual([]);
    expect(rows([joined("colleague")])).toMatchObject([{ text: "colleague joined" }]);
  });
});

it.each([
  [-1, "0:00"],
  [65, "1:05"],
  [3_725, "1:02:05"],
])("%d seconds are written as %s", (seconds, written) => expect(duration(seconds)).toBe(written));
