/* How many files may be open, and so how many connections there may be. */
#ifndef TUNTAPD_FILES_H
#define TUNTAPD_FILES_H

/*
 * Makes room for every connection, and each device being made.  Where there is
 * less, limits.connections and limits.connections_uid are what it takes.
 */
void files_make_room(void);

#endif
