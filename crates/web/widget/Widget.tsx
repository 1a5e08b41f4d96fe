// Owns the widget's frame: the launcher, the window, and which view is inside.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { ChatIcon, MinimiseIcon } from "../ui/icons.tsx";
import { texts as shared } from "../ui/texts.ts";
import { viewOf, type WidgetModel, type WidgetState } from "./model.ts";
import { texts } from "./texts.ts";
import { ConversationView, MessageView, QueueList, WaitingView } from "./views.tsx";

export function Widget({ model }: { model: WidgetModel }): JSX.Element | null {
  const launcher = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const hadFocus = useRef(false);
  const wasOpen = useRef<boolean | null>(null);
  const [state, setState] = useState(model.state.value);
  const windowState = state.window;

  useLayoutEffect(() => model.state.subscribe(setState), [model]);

  useLayoutEffect(() => {
    const isOpen = windowState === "open";
    // Focus follows the visitor's own opening and closing, but a page that loads open keeps its focus.
    if (wasOpen.current !== null && isOpen) panel.current?.focus();
    else if (wasOpen.current && !isOpen) launcher.current?.focus();
    wasOpen.current = isOpen;
  }, [windowState]);

  const viewKind = viewOf(state.chat).kind;
  useLayoutEffect(() => {
    // The button that led here is gone, and the focus with it; keep it in the chat.
    if (hadFocus.current && document.activeElement === document.body) panel.current?.focus();
  }, [viewKind]);

  if (windowState === "hidden") return null;
  if (windowState === "minimised") {
    const unread = Object.values(state.chat.conversations).reduce((sum, conversation) => sum + conversation.unread, 0);
    const label = unread > 0 ? `${texts.open}, ${texts.unread(unread)}` : texts.open;
    return (
      <button type="button" class="launcher" ref={launcher} aria-label={label} onClick={() => model.setWindow("open")}>
        <ChatIcon size={28} />
        {unread > 0 && <span class="badge">{unread}</span>}
      </button>
    );
  }
  return (
    <div
      class="panel"
      role="dialog"
      aria-label={model.title}
      tabIndex={-1}
      ref={panel}
      onFocusIn={() => (hadFocus.current = true)}
      onFocusOut={(event) => {
        // A removed element gives its focus to nobody; anything else is the visitor leaving.
        if (event.relatedTarget !== null) hadFocus.current = panel.current?.contains(event.relatedTarget as Node) ?? false;
      }}
      onKeyDown={(event) => {
        // Keys typed into the chat are none of the page's shortcuts.
        event.stopPropagation();
        if (event.key === "Escape") model.setWindow("minimised");
      }}
    >
      <div class="bar">
        <ChatIcon size={22} />
        <h2>{model.title}</h2>
        <button
          type="button"
          class="lv-icon-button"
          aria-label={texts.minimise}
          title={texts.minimise}
          onClick={() => model.setWindow("minimised")}
        >
          <MinimiseIcon />
        </button>
      </div>
      <div role="status">
        {state.chat.status === "reconnecting" && <p class="lv-notice">{shared.reconnecting}</p>}
      </div>
      <CurrentView model={model} state={state} />
    </div>
  );
}

function CurrentView({ model, state }: { model: WidgetModel; state: WidgetState }): JSX.Element {
  const view = viewOf(state.chat);
  switch (view.kind) {
    case "conversation":
      return <ConversationView model={model} state={state} conversation={view.conversation} />;
    case "waiting":
      return <WaitingView model={model} queue={view.queue} />;
    case "queues":
      return <QueueList model={model} state={state} />;
    case "superseded":
      return <MessageView text={texts.superseded} action={texts.continueHere} onAction={() => model.takeOver()} />;
    case "refused":
      return <MessageView text={texts.refused} action={texts.retry} onAction={() => model.retry()} />;
    case "connecting":
      return <MessageView text={texts.connecting} />;
  }
}
