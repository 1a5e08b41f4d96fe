// Owns how times and waits are written.
import { texts } from "./texts.ts";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** The time of day of a moment in seconds. */
export function clockTime(seconds: number): string {
  return clock.format(seconds * 1000);
}

export function dayName(seconds: number, now = Date.now() / 1000): string {
  const key = new Date(seconds * 1000).toDateString();
  if (key === new Date(now * 1000).toDateString()) return texts.today;
  if (key === new Date((now - 86_400) * 1000).toDateString()) return texts.yesterday;
  return day.format(seconds * 1000);
}

/** A length of time as m:ss, or h:mm:ss from an hour on. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
