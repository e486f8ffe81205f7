/**
 * Whether this Node can run troupe. Runs on the old ones too, so it keeps to what they understand and imports nothing.
 * State: none.
 */
const MAJOR_MIN = 22;
const MINOR_MIN = 19;

/** One line about a Node that is too old; `undefined` when it is new enough. */
export function nodeProblem(version: string): string | undefined {
  const parts = version.split('.').map(Number);
  const major = parts[0] || 0;
  const minor = parts[1] || 0;
  if (major > MAJOR_MIN || (major === MAJOR_MIN && minor >= MINOR_MIN)) return undefined;
  return (
    'Node ' +
    version +
    ' is too old: troupe needs ' +
    MAJOR_MIN +
    '.' +
    MINOR_MIN +
    ' or newer ' +
    '(install it from https://nodejs.org, or use "npm start" in a checkout, which brings its own)'
  );
}
