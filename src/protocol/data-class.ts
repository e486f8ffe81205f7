/**
 * The class of a piece of data: what may become of it. State: none.
 */
/**
 * - `identity`: names and orders things; never changed.
 * - `operational`: what is asked of the server and how it ends, without what is said; outlives the content.
 * - `content`: what people and engines say; redaction may change it, retention and purge take it.
 * - `secret`: never stored, never logged.
 */
export type DataClass = 'identity' | 'operational' | 'content' | 'secret';
