/** Milliseconds that processors computed for this process so far: what other programs take of them counts for nothing. */
export const processorMs = (): number => process.cpuUsage().user / 1000;
