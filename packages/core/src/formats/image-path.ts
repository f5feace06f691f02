// A picture's name in an annotation file is a path below the image folder; anything that could lead outside is refused.

/** What is wrong with a `file_name`, as the rest of a sentence ("which ...") with its remedy, or undefined where it is safe. */
export function imagePathProblem(fileName: string): string | undefined {
  if (fileName.trim() === '') return 'is empty (expected a path below the image folder): write the file name';
  if (fileName.includes('\0')) return 'contains a zero byte: write the plain file name';
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(fileName)) {
    return 'is a web address (expected a path below the image folder): download the picture and name the file';
  }
  if (/^([/\\]|[a-z]:)/i.test(fileName)) {
    return 'is an absolute path (expected one below the image folder): make it relative to the image folder';
  }
  if (fileName.includes('\\'))
    return 'contains a backslash (expected a path below the image folder): separate folders by /';
  if (fileName.split('/').includes('..'))
    return 'leads outside of the image folder: remove the ".." and put the picture below the folder';
  return undefined;
}

/** A name below the image folder as programs on Windows write it, with its folders separated by `/`. */
export function forwardSlashes(fileName: string): string {
  return /^(\\|[a-z]:)/i.test(fileName) ? fileName : fileName.replaceAll('\\', '/');
}

/** LVIS names its pictures by their addresses alone: folder and file below COCO's own, `val2017/000000397133.jpg`. */
export function imageNameInUrl(url: unknown): string | undefined {
  return typeof url === 'string' ? /^https?:\/\/[^/]+\/(?:.*\/)?([^/?#]+\/[^/?#]+)$/.exec(url)?.[1] : undefined;
}
