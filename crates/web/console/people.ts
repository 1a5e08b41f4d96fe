// Owns what people are called and whether they are there.
import type { Conversation, UserAttrs } from "../client/src/index.ts";
import { texts } from "./texts.ts";

export type Presence = "online" | "idle" | "offline";

export function presence(attrs: UserAttrs | undefined): Presence {
  if (!attrs?.connected) return "offline";
  return attrs.idle ? "idle" : "online";
}

export function guestName(userId: string, name?: string): string {
  return name ?? texts.guest(userId);
}

/** The customer is the member who neither is the agent at this console nor runs the conversation. */
export function customerId({ members }: Conversation, selfId: string | undefined): string | undefined {
  const others = Object.keys(members).filter((id) => id !== selfId);
  return others.find((id) => members[id]?.user_attrs.guest) ?? others.find((id) => !members[id]?.member_attrs.operator);
}

export function customerName(conversation: Conversation, selfId: string | undefined): string {
  const id = customerId(conversation, selfId);
  if (id === undefined) return texts.customer;
  const attrs = conversation.members[id]!.user_attrs;
  return guestName(id, attrs.realname ?? attrs.name);
}
