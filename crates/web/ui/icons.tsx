// Owns the icons: line drawings on a grid of 20, in the colour of the text around them.
import type { ComponentChildren, JSX } from "preact";

export function icon(children: ComponentChildren): (props: { size?: number }) => JSX.Element {
  return ({ size = 20 }) => (
    <svg
      class="lv-icon"
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const SendIcon = icon(<path d="M10 16V4.5M5 9.2 10 4.2l5 5" />);
export const AttachIcon = icon(<path d="m17 9-6 6.4a4 4 0 0 1-6-5.4l6.6-6.5a2.7 2.7 0 0 1 3.8 3.8L9 13.5a1 1 0 0 1-2-2L13 6" />);
export const PictureIcon = icon(
  <>
    <rect x="3" y="4" width="14" height="12" rx="1.4" />
    <path d="m3.5 14 3.7-3.7 2.6 2.5 2.9-3.2 3.8 3.9" />
    <circle cx="7.3" cy="7.4" r=".7" />
  </>,
);
export const ChatIcon = icon(
  <path d="M3 9.2C3 5.8 6.1 3.2 10 3.2s7 2.6 7 6-3.1 6-7 6c-.9 0-1.7-.1-2.5-.4L3.8 16.6l.9-3.3A5.6 5.6 0 0 1 3 9.2Z" />,
);
export const CloseIcon = icon(<path d="m5 5 10 10M15 5 5 15" />);
export const MinimiseIcon = icon(<path d="m5 8 5 5 5-5" />);
export const BackIcon = icon(<path d="m12 4.5-5.5 5.5 5.5 5.5" />);
export const ChevronIcon = icon(<path d="m8 5 5 5-5 5" />);
export const ClockIcon = icon(
  <>
    <circle cx="10" cy="10" r="7" />
    <path d="M10 6v4.2l2.8 1.6" />
  </>,
);
