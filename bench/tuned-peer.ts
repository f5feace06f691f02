// What the best user of PyTorch sets, whatever the model.

/** glibc's allocator told to keep memory, which without it goes back to the system and comes again as page faults. */
export const keptMemory = {
  MALLOC_MMAP_THRESHOLD_: '1073741824',
  MALLOC_TRIM_THRESHOLD_: '2147483647',
  MALLOC_TOP_PAD_: '67108864',
};
