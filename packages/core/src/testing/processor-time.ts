/** Milliseconds that a processor computes for this process during `body`: a clock would count what others compute meanwhile. */
export function processorMs(body: () => void): number {
  const start = process.cpuUsage();
  body();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
