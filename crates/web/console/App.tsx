// Owns which page of the console is shown.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { AccessPage } from "./AccessPage.tsx";
import { ConversationPage } from "./ConversationPage.tsx";
import { ForgotPage } from "./ForgotPage.tsx";
import { Login } from "./Login.tsx";
import { loggingIn, news, pick, problem, state, takeOver } from "./model.ts";
import { QueuePage } from "./QueuePage.tsx";
import { navigate, route, type Route } from "./route.ts";
import { Sidebar } from "./Sidebar.tsx";
import { texts } from "./texts.ts";
import { ChatIcon } from "../ui/icons.tsx";
import { texts as shared } from "../ui/texts.ts";

export function App(): JSX.Element {
  const { status, ready } = state.value;
  if (status === "superseded") {
    return (
      <main class="blank">
        <p>{texts.superseded}</p>
        <button type="button" class="lv-button primary" onClick={takeOver}>
          {texts.continueHere}
        </button>
      </main>
    );
  }
  const shown = route.value;
  if (shown.page === "access") return <AccessPage key={shown.key} accessKey={shown.key} />;
  if (shown.page === "forgot") return <ForgotPage />;
  if (status === "idle" || status === "refused" || loggingIn.value) return <Login />;
  if (!ready) {
    return (
      <main class="blank">
        <p role="status">{texts.connecting}</p>
      </main>
    );
  }
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        {texts.skip}
      </a>
      <div role="status">{status === "reconnecting" && <p class="lv-notice banner">{shared.reconnecting}</p>}</div>
      <div class={shown.page === "home" ? "frame home" : "frame"}>
        <Sidebar />
        <main id="main" tabIndex={-1}>
          <div role="alert">{problem.value && <p class="lv-notice error">{problem.value}</p>}</div>
          <Page shown={shown} />
        </main>
      </div>
      <div role="status">{news.value && <p class="toast">{news.value}</p>}</div>
    </>
  );
}

/** The pages beside the sidebar. */
type InnerRoute = Exclude<Route, { page: "access" | "forgot" }>;

function Page({ shown }: { shown: InnerRoute }): JSX.Element {
  switch (shown.page) {
    case "queue":
      return <QueuePage key={shown.id} id={shown.id} />;
    case "conversation":
      return <ConversationPage key={shown.id} id={shown.id} />;
    case "accept":
      return <AcceptPage queueId={shown.queueId} audienceId={shown.audienceId} />;
    case "home":
      return (
        <div class="blank">
          <span class="blank-icon">
            <ChatIcon size={32} />
          </span>
          <h1>{texts.homeTitle}</h1>
          <p>{texts.homeHint}</p>
        </div>
      );
  }
}

function AcceptPage({ queueId, audienceId }: { queueId: string; audienceId: string }): JSX.Element {
  useEffect(() => {
    void pick(queueId, audienceId).then(() => {
      if (problem.value) navigate({ page: "queue", id: queueId });
    });
  }, [queueId, audienceId]);
  return (
    <div class="blank">
      <p role="status">{texts.accepting}</p>
    </div>
  );
}

function skipToMain(event: Event): void {
  // The hash is the console's address, so the link must not change it.
  event.preventDefault();
  document.getElementById("main")?.focus();
}
