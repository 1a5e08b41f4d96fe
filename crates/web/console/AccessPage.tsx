// Owns the page that links with access keys lead to: it asks what the key is for, offers that, and leads on.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { describeAccess, explain, failure, purposeOf, type AccessFound, type Explanation } from "./access.ts";
import { JoinForm, ResetForm, SessionForm, VerifyForm, type Done, type FormProps } from "./accessForms.tsx";
import { Card, Problem } from "./Card.tsx";
import { Login } from "./Login.tsx";
import { currentUser, state } from "./model.ts";
import { navigate } from "./route.ts";
import { texts } from "./texts.ts";

type Stage =
  | { name: "asking" }
  | { name: "failed"; why: Explanation & { isFinal: boolean } }
  | { name: "offered"; found: AccessFound }
  | { name: "done"; done: Done };

export function AccessPage({ accessKey }: { accessKey: string }): JSX.Element {
  const [stage, setStage] = useState<Stage>({ name: "asking" });
  useEffect(() => {
    if (stage.name !== "asking") return;
    describeAccess(accessKey).then(
      (found) => setStage({ name: "offered", found }),
      (error: unknown) => setStage({ name: "failed", why: failure(error) }),
    );
  }, [stage, accessKey]);
  switch (stage.name) {
    case "asking":
      return (
        <main class="blank">
          <p role="status">{texts.access.checking}</p>
        </main>
      );
    case "failed":
      return <Failed why={stage.why} onRetry={() => setStage({ name: "asking" })} />;
    case "offered":
      return (
        <Offer
          found={stage.found}
          accessKey={accessKey}
          onDone={(done) => setStage({ name: "done", done })}
          onFailed={(why) => setStage({ name: "failed", why })}
        />
      );
    case "done":
      return (
        <Card title={stage.done.title}>
          <p role="status">{stage.done.text}</p>
          <button type="button" class="lv-button primary" onClick={() => leadOn(stage.done)}>
            {texts.access.toConsole}
          </button>
        </Card>
      );
  }
}

/** To the channel, if it is one that the console shows. */
function leadOn({ channelId }: Done): void {
  const isShown = channelId !== undefined && channelId in state.value.conversations;
  navigate(isShown ? { page: "conversation", id: channelId } : { page: "home" });
}

function Failed({ why, onRetry }: { why: Explanation & { isFinal: boolean }; onRetry: () => void }): JSX.Element {
  return (
    <Card title={why.title}>
      <p role="alert">{why.text}</p>
      <div class="choices">
        {!why.isFinal && (
          <button type="button" class="lv-button primary" onClick={onRetry}>
            {texts.access.retry}
          </button>
        )}
        <button type="button" class="lv-button" onClick={() => navigate({ page: "home" })}>
          {texts.access.toConsole}
        </button>
      </div>
    </Card>
  );
}

interface OfferProps {
  found: AccessFound;
  accessKey: string;
  onDone: (done: Done) => void;
  onFailed: (why: Explanation & { isFinal: boolean }) => void;
}

function Offer({ found, accessKey, onDone, onFailed }: OfferProps): JSX.Element {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [wantsLogin, setWantsLogin] = useState(false);
  const { title, text } = explain(found);
  const run = async (work: () => Promise<Done>) => {
    setBusy(true);
    setProblem(null);
    try {
      onDone(await work());
    } catch (error) {
      const why = failure(error);
      // What is typed stays where the same key may still do it.
      if (why.isFinal) onFailed(why);
      else setProblem(`${why.title}. ${why.text}`);
    } finally {
      setBusy(false);
    }
  };
  if (wantsLogin && !currentUser.value) return <Login onBack={() => setWantsLogin(false)} />;
  const props: FormProps = { found, accessKey, isBusy, run: (work) => void run(work), onProblem: setProblem };
  return (
    <Card title={title}>
      <p class="soft">{text}</p>
      <Problem text={problem} />
      <Form {...props} onLogin={() => setWantsLogin(true)} />
    </Card>
  );
}

function Form({ onLogin, ...props }: FormProps & { onLogin: () => void }): JSX.Element {
  switch (purposeOf(props.found)) {
    case "verify":
      return <VerifyForm {...props} />;
    case "reset":
      return <ResetForm {...props} />;
    case "join":
      return <JoinForm {...props} onLogin={onLogin} />;
    case "session":
      return <SessionForm {...props} />;
  }
}
