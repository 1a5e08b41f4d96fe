// Owns the page's address: which view is shown, in the part after the `#`.
import { signal } from "@preact/signals";

export type Route =
  | { page: "home" }
  | { page: "queue"; id: string }
  | { page: "conversation"; id: string }
  | { page: "accept"; queueId: string; audienceId: string };

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [first, second, third, fourth] = parts;
  if (first === "queue" && second) return { page: "queue", id: second };
  if (first === "conversation" && second) return { page: "conversation", id: second };
  if (first === "x" && second === "accept" && third && fourth) return { page: "accept", queueId: third, audienceId: fourth };
  return { page: "home" };
}

export function hashOf(route: Route): string {
  switch (route.page) {
    case "queue":
    case "conversation":
      return `#/${route.page}/${encodeURIComponent(route.id)}`;
    case "accept":
      return `#/x/accept/${encodeURIComponent(route.queueId)}/${encodeURIComponent(route.audienceId)}`;
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
  // An accept link acts when it is opened, so going back must not lead through it again.
  if (route.value.page === "accept") {
    history.replaceState(null, "", hashOf(next));
    route.value = next;
  } else {
    location.hash = hashOf(next);
  }
}
