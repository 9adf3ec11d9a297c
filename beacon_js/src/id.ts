/** A random id of 128 bits, as 32 hexadecimal digits. */
export const newId = (): string =>
  crypto.getRandomValues(new Uint8Array(32)).reduce((id, byte) => id + (byte & 15).toString(16), "");

export const isId = (text: string | null): text is string => /^[\w-]{8,64}$/.test(text!);

/** The id in the query of `url`, which is given one if it has none. The rest of the query keeps its exact form. */
export const idOf = (url: URL, param: string): string => {
  let id = url.searchParams.get(param);
  if (!isId(id)) url.search += `${url.search ? "&" : "?"}${param}=${(id = newId())}`;
  return id;
};

/** Whether the stream is in a sample of this share: 32-bit FNV-1a of the id, below `share` · 2³². */
export const isSampled = (id: string, share: number): boolean => {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash >>> 0 < share * 2 ** 32;
};
