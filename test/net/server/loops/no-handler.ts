/** A module that is no handler. */
export default { onMessages: () => {} }
