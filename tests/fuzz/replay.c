/*
 * replay FOLDER...: gives each file of the folders to a fuzz target, without a
 * fuzzer, and prints how many there were.  None is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	exit(1);
}

static void replay_file(const char *path, size_t size)
{
	/* Exactly as large: a sanitizer sees the first byte too many. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");

	if (!data || !file || fread(data, 1, size, file) != size)
		die(path);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static unsigned replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		die(folder);
	while ((entry = readdir(dir))) {
		char path[4096];
		struct stat st;
		int len = snprintf(path, sizeof(path), "%s/%s", folder,
				   entry->d_name);

		errno = ENAMETOOLONG;
		if (len < 0 || (size_t)len >= sizeof(path) ||
		    stat(path, &st) < 0)
			die(path);
		if (!S_ISREG(st.st_mode))
			continue;
		replay_file(path, (size_t)st.st_size);
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_folder(argv[i]);
	printf("%u inputs\n", n);
	return n ? 0 : 1;
}
