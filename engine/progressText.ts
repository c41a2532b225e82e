// How far a pass over a workspace is, in words, for a notification, a status bar and a terminal.

/** `120 of 300 files, 45 files/s, 4 s left`; what is not known yet is left out. */
export function progressText(progress: {
  readonly filesDone: number;
  readonly filesTotal: number;
  readonly filesPerSecond: number;
  readonly secondsLeft: number | null | undefined;
}): string {
  const { filesDone, filesTotal, filesPerSecond, secondsLeft } = progress;
  const parts = [`${filesDone} of ${filesTotal} files`];
  if (filesPerSecond > 0) parts.push(`${filesPerSecond.toFixed(filesPerSecond < 10 ? 1 : 0)} files/s`);
  if (secondsLeft !== null && secondsLeft !== undefined && secondsLeft > 0) parts.push(`${timeText(secondsLeft)} left`);
  return parts.join(", ");
}

/** `8 s`, `3 min`, `2 h`: no finer than what can be known. */
export function timeText(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
