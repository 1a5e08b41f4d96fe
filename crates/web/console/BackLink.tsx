// Owns the way back to the list, which a narrow window shows alone.
import type { JSX } from "preact";
import { BackIcon } from "../ui/icons.tsx";
import { hashOf } from "./route.ts";
import { texts } from "./texts.ts";

export function BackLink(): JSX.Element {
  return (
    <a class="lv-icon-button back" href={hashOf({ page: "home" })} aria-label={texts.back} title={texts.back}>
      <BackIcon />
    </a>
  );
}
