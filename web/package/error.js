/** What is thrown, and what promises are rejected with. */
export class LookaheadError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    this.kind = kind;
  }

  get name() {
    return 'LookaheadError';
  }
}
