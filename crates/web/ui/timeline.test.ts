// Owns how conversations are laid out: groups, days, quiet lines, and what stays out of sight.
import { describe, expect, it } from "vitest";
import type { Conversation, Message } from "../client/src/state.ts";
import { duration } from "./time.ts";
import { spokenText, timeline, type Row, type Side } from "./timeline.ts";

const NOON = new Date(2026, 4, 5, 12).getTime() / 1000;
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
  return timeline(conversation, "me", side, (userId, writtenAs) => writtenAs ?? userId ?? "?", TODAY);
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

  it("doesn't tell people of their own coming", () => {
    const joined = (userId: string) => message(1, undefined, { user_id: userId }, { type: "ninchat.com/info/join" });
    expect(rows([joined("me")])).toEqual([]);
    expect(rows([joined("guest")])).toEqual([]);
    expect(rows([joined("colleague")])).toMatchObject([{ text: "colleague joined" }]);
  });
});

it("files are shown by name", () => {
  const files = [{ file_id: "f", file_attrs: { name: "a.png" } }];
  const sent = message(1, "me", { text: "see", files }, { type: "ninchat.com/file" });
  expect(spokenText(sent)).toBe("see\nFile: \u2068a.png\u2069");
});

it.each([
  [-1, "0:00"],
  [65, "1:05"],
  [3_725, "1:02:05"],
])("%d seconds are written as %s", (seconds, written) => expect(duration(seconds)).toBe(written));
