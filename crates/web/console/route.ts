// Owns the page's address: which view is shown, in the part after the `#`.
import { signal } from "@preact/signals";

export type Route =
  | { page: "home" }
  | { page: "queue"; id: string }
  | { page: "conversation"; id: string }
  | { page: "accept"; queueId: string; audienceId: string }
  | { page: "access"; key: string }
  | { page: "forgot" };

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decoded);
  const [first, second, third, fourth] = parts;
  if (first === "queue" && second) return { page: "queue", id: second };
  if (first === "conversation" && second) return { page: "conversation", id: second };
  if (first === "x" && second === "accept" && third && fourth) return { page: "accept", queueId: third, audienceId: fourth };
  if (first === "access" && second) return { page: "access", key: second };
  if (first === "forgot") return { page: "forgot" };
  return { page: "home" };
}

/** A link may have been cut off in the middle of an escape; then its page tells that it leads nowhere. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function hashOf(route: Route): string {
  switch (route.page) {
    case "queue":
    case "conversation":
      return `#/${route.page}/${encodeURIComponent(route.id)}`;
    case "accept":
      return `#/x/accept/${encodeURIComponent(route.queueId)}/${encodeURIComponent(route.audienceId)}`;
    case "access":
      return `#/access/${encodeURIComponent(route.key)}`;
    case "forgot":
      return "#/forgot";
    case "home":
      return "#/";
  }
}

export const route = signal<Route>({ page: "home" });

export function watchRoute(): void {
  const read = () => (route.value = parseRoute(location.hash));
  addEventListener("hashchange", read);
  read();
}

export function navigate(next: Route): void {
  // An accept link acts when it is opened, so going back must not lead through it again. An access key that was used
  // is of no use any more, and one that wasn't is a secret.
  if (route.value.page === "accept" || route.value.page === "access") {
    history.replaceState(null, "", hashOf(next));
    route.value = next;
  } else {
    location.hash = hashOf(next);
  }
}
