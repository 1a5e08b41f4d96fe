// Owns that addresses lead to views and back.
import { expect, it } from "vitest";
import { hashOf, parseRoute, type Route } from "./route.ts";

it.each<Route>([
  { page: "home" },
  { page: "queue", id: "q/1" },
  { page: "conversation", id: "c1" },
  { page: "accept", queueId: "q1", audienceId: "a1" },
  { page: "access", key: "00k/%" },
  { page: "forgot" },
])("%o", (route) => expect(parseRoute(hashOf(route))).toEqual(route));

it("leads home from anywhere unknown", () => expect(parseRoute("#/x/accept/only")).toEqual({ page: "home" }));

it("takes a link that was cut off as it is", () =>
  expect(parseRoute("#/access/00k%")).toEqual({ page: "access", key: "00k%" }));
