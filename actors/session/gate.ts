/** Whether a mailbox lets its commands act. State: volatile, as the mailbox's own. */

/**
 * Open; or shut while the session is opened or rebuilt or a further try is journalled, while the one before holds its engine,
 * for good because the session is closed, or for good because a defect showed and another mailbox takes its place.
 */
export type Gate = 'open' | 'opening' | 'releasing' | 'closed' | 'frozen';
