// Owns loading what shows files, once there are any: until then, and if that fails, it says that there are some.
import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Message } from "../client/src/index.ts";
import type { Host } from "./files.tsx";
import { texts } from "./texts.ts";

type FilesPart = typeof import("./files.tsx");

let loading: Promise<FilesPart> | undefined;

function load(server: string): Promise<FilesPart> {
  loading ??= import(/* @vite-ignore */ new URL("/widget/files.js", server).href) as Promise<FilesPart>;
  // The next file tries again.
  loading.catch(() => (loading = undefined));
  return loading;
}

export function LazyFiles({ message, host }: { message: Message; host: Host }): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [part, setPart] = useState<FilesPart | null>(null);
  useLayoutEffect(() => {
    load(host.server).then(setPart, () => undefined);
  }, []);
  useLayoutEffect(() => {
    part?.draw(place.current!, host, message);
  }, [part, message]);
  useLayoutEffect(() => {
    const element = place.current!;
    return () => part?.clear(element);
  }, [part]);
  return (
    <div class={part ? "lv-files" : "lv-bubble"} ref={place}>
      {part ? null : texts.fileSent}
    </div>
  );
}
