// Owns loading what shows and sends files, once there are any: until then, and if that fails, it says that there are some.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation, Message } from "../client/src/index.ts";
import type { NameOf } from "../ui/timeline.ts";
import type { Host } from "./files.tsx";
import { texts } from "./texts.ts";

type FilesPart = typeof import("./files.tsx");

let loading: Promise<FilesPart> | undefined;

export function loadFiles({ server }: Host): Promise<FilesPart> {
  loading ??= import(/* @vite-ignore */ new URL("/widget/files.js", server).href) as Promise<FilesPart>;
  // The next file tries again.
  loading.catch(() => (loading = undefined));
  return loading;
}

export function LazyFiles({ message, host }: { message: Message; host: Host }): JSX.Element {
  return <Drawn host={host} of={message} instead={texts.fileSent} draw={(part, place) => part.draw(place, host, message)} />;
}

export function LazyUploads(props: { conversation: Conversation; host: Host; nameOf: NameOf }): JSX.Element {
  const { conversation, host, nameOf } = props;
  return <Drawn host={host} of={conversation} draw={(part, place) => part.drawUploads(place, host, conversation, nameOf)} />;
}

/** A place that the part which was loaded draws into, anew whenever what it is drawn `of` changes. */
function Drawn(props: {
  host: Host;
  of: unknown;
  instead?: string;
  draw: (part: FilesPart, place: Element) => void;
}): JSX.Element {
  const { host, of, instead, draw } = props;
  const place = useRef<HTMLDivElement>(null);
  const [part, setPart] = useState<FilesPart | null>(null);
  useLayoutEffect(() => {
    loadFiles(host).then(setPart, () => undefined);
  }, []);
  useLayoutEffect(() => {
    if (part) draw(part, place.current!);
  }, [part, of]);
  useLayoutEffect(() => {
    const element = place.current!;
    return () => part?.clear(element);
  }, [part]);
  return (
    <div class={part ? "lv-files" : instead && "lv-bubble"} ref={place}>
      {part ? null : instead}
    </div>
  );
}
