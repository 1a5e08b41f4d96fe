// Owns the product's mark: two waves behind a bank.
import type { JSX } from "preact";

export function Logo({ size = 28 }: { size?: number }): JSX.Element {
  return (
    <svg class="logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M6 21c3.3-3 6.7-3 10 0s6.7 3 10 0M6 14.5c3.3-3 6.7-3 10 0s6.7 3 10 0" />
    </svg>
  );
}
