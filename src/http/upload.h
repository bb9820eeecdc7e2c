/* Documents that are handed in: too large for memory, they go to files without names as they come, a few at a time.
 *
 * A call with the flag UPLOAD finds its body in request->upload: a file that ends with the request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct request;
struct reply;

struct uploads; /* who is handing something in; safe for many threads */
/* folder: where the files are made. most: at a time. */
struct uploads *uploads_open(const char *folder, int most);
void uploads_close(struct uploads *);
/* Can such files be made there? */
bool uploads_folder_works(const char *folder);
/* A file without a name, for an answer that is too large for memory; -1: it cannot be made. */
int uploads_file(const struct uploads *);

/* The head is fine and somebody is signed in: is there room for one more? */
bool upload_begin(struct request *, struct reply *refused);
/* A piece of the body. What is wrong with it is in the request's reply. */
void upload_take(struct request *, const char *bytes, size_t size);
void upload_end(struct request *);
/* On a worker: judges what has come by what is in it. False: 415 or 422, and why. */
bool upload_judge(struct request *, struct reply *refused);
