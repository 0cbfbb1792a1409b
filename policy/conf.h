/*
 * INI files: pure text into sections, keys and values, and the folders where
 * such files lie.  What a section or a key means is the caller's.
 */
#ifndef TUNTAPD_CONF_H
#define TUNTAPD_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "bounds.h"
#include "policy.h"

/* A section's header (key is NULL) or one `key = value` in it. */
struct conf_item {
	const char *file;
	unsigned line;
	const char *section;	/* what stands between [ and ], trimmed */
	const char *key;
	char *value;		/* never empty; the handler may write in it */
};

typedef int conf_handler(void *arg, const struct conf_item *item,
			 struct policy_fault *fault);

/*
 * Hands each header and each key of the text to the handler, from the top,
 * until one returns non-zero.  0, what the handler returned, or -EINVAL with
 * the fault filled.
 */
int conf_parse(const char *file, const char *text, size_t len,
	       conf_handler *handler, void *arg, struct policy_fault *fault);

typedef int conf_file(void *arg, const char *path, const char *text,
		      size_t len, struct policy_fault *fault);

/* What was found, beside what the files say. */
struct conf_found {
	unsigned there;		/* bit i: folder i exists */
	size_t n_files;
	bool not_roots;		/* something belongs to us, who are not root */
};
/*
 * Hands over every *.conf of the folders, sorted by file name over all; of
 * several with one name that of the last folder.  A missing folder is empty,
 * and a fault if its bit in ret->there is set.  What others could write to is
 * refused.  0 with *ret, what `each` returned, or -errno.
 */
int conf_folders(const char *const *folders, size_t n, conf_file *each,
		 void *arg, struct conf_found *ret, struct policy_fault *fault);

/* Fills "file:line: key: why" (line 0, key NULL: left out); -EINVAL. */
int conf_fault(struct policy_fault *fault, const char *file, unsigned line,
	       const char *key, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* file as it is shown: made plain, long ones by their end. */
void conf_label(char label[POLICY_LABEL_MAX + 1], const char *file);

/* Without white space at both ends; the end is cut off in place. */
char *conf_trim(char *text);

#endif
