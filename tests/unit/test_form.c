/* Tests the enrollment forms: which schemas are understood, and what is said of documents that do not satisfy them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow/form.h"

static struct arena *arena;

static const char *source(const char *name)
{
	const char *folder = getenv("srcdir");

	return arena_printf(arena, "%s/%s", folder != NULL ? folder : ".", name);
}

/* A folder with one form, 1.json, of the given text. */
static struct err open_schema(const char *text, struct forms **out)
{
	char folder[] = "/tmp/scfgate-form-XXXXXX";

	assert_non_null(mkdtemp(folder));
	const char *file = arena_printf(arena, "%s/1.json", folder);
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	struct err e = forms_open(arena, folder, out);
	unlink(file);
	rmdir(folder);
	return e;
}

/* ---- schemas ---- */

static void a_schema_that_is_not_understood_is_refused(void **unused)
{
	static const struct {
		const char *name, *schema, *said;
	} rows[] = {
		{ "an unknown keyword", "{'type':'object','properties':{'a':{'type':'string','minlength':1}}}",
		    "1.json: at '/properties/a/minlength': is not a keyword" },
		{ "a keyword of JSON Schema that we do not have", "{'type':'object','oneOf':[]}", "at '/oneOf'" },
		{ "$ref", "{'type':'object','properties':{'a':{'$ref':'#/b'}}}", "at '/properties/a': needs a type" },
		{ "no type", "{}", "at '': needs a type" },
		{ "an unknown type", "{'type':'text'}", "needs a type" },
		{ "several types", "{'type':['object','string']}", "needs a type" },
		{ "a form that is no object", "{'type':'string'}", "a form is an object" },
		{ "a schema that is no object", "{'type':'object','properties':{'a':true}}",
		    "at '/properties/a': must be an object" },
		{ "properties that are no object", "{'type':'object','properties':[]}",
		    "at '/properties': must be an object" },
		{ "a keyword that says nothing about the type", "{'type':'object','minLength':1}",
		    "at '/minLength': says nothing" },
		{ "additionalProperties that allow", "{'type':'object','additionalProperties':true}",
		    "can only be false" },
		{ "a required member that is not described", "{'type':'object','required':['a']}",
		    "at '/required': 'a' is not one" },
		{ "a member required twice",
		    "{'type':'object','required':['a','a'],'properties':{'a':{'type':'string'}}}", "twice" },
		{ "required that is no array", "{'type':'object','required':'a'}", "must be an array" },
		{ "a negative length", "{'type':'object','properties':{'a':{'type':'string','maxLength':-1}}}",
		    "must be a whole number" },
		{ "a minimum that is no number", "{'type':'object','properties':{'a':{'type':'number','minimum':'1'}}}",
		    "must be a number" },
		{ "an empty enum", "{'type':'object','properties':{'a':{'type':'string','enum':[]}}}",
		    "at least one value" },
		{ "an unknown format", "{'type':'object','properties':{'a':{'type':'string','format':'email'}}}",
		    "must be npi or date" },
		{ "a pattern that does not compile",
		    "{'type':'object','properties':{'a':{'type':'string','pattern':'('}}}",
		    "at '/properties/a/pattern': is not an extended regular expression" },
		{ "a pattern with \\d", "{'type':'object','properties':{'a':{'type':'string','pattern':'^\\\\d+$'}}}",
		    "write [0-9]" },
		{ "a pattern with (?:", "{'type':'object','properties':{'a':{'type':'string','pattern':'(?:a)'}}}",
		    "write [0-9]" },
		{ "a pattern with a back reference",
		    "{'type':'object','properties':{'a':{'type':'string','pattern':'(a)\\\\1'}}}", "write [0-9]" },
		{ "another dialect", "{'$schema':'http://json-schema.org/draft-07/schema#','type':'object'}",
		    "2020-12" },
		{ "a name that needs escaping", "{'type':'object','properties':{'a/b~c':{'type':'x'}}}",
		    "at '/properties/a~1b~0c'" },
		{ "a member twice", "{'type':'object','type':'object'}", "duplicate" },
		{ "what is no JSON", "{'type':", "1.json: is not JSON: line 1" },
		{ "an empty file", "", "1.json: is empty" },
	};
	struct forms *forms;

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *schema = arena_strdup(arena, rows[i].schema);

		for (char *c = schema; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		struct err e = open_schema(schema, &forms);
		if (e.code != ERR_INVALID || strstr(e.what, rows[i].said) == NULL)
			fail_msg("%s: %d %s", rows[i].name, e.code, e.what != NULL ? e.what : "");
		assert_null(forms);
	}
}

static void a_folder_without_forms_is_refused(void **unused)
{
	char folder[] = "/tmp/scfgate-form-XXXXXX";
	struct forms *forms;

	(void)unused;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(forms_open(arena, folder, &forms).code, ERR_INVALID);
	rmdir(folder);
	assert_int_equal(forms_open(arena, folder, &forms).code, ERR_INVALID);
}

/* ---- documents ---- */

#define EVERYTHING                                                                                                     \
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/"                                                        \
	"schema\",\"$id\":\"x\",\"title\":\"t\",\"type\":\"object\","                                                  \
	"\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{"                                      \
	"\"name\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4},"                                              \
	"\"zip\":{\"type\":\"string\",\"pattern\":\"^[0-9]{5}$\"},"                                                    \
	"\"part\":{\"type\":\"string\",\"pattern\":\"b\"},"                                                            \
	"\"npi\":{\"type\":\"string\",\"format\":\"npi\"},"                                                            \
	"\"day\":{\"type\":\"string\",\"format\":\"date\"},"                                                           \
	"\"kind\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]},"                                                       \
	"\"version\":{\"type\":\"integer\",\"const\":1},"                                                              \
	"\"beds\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10},"                                                \
	"\"share\":{\"type\":\"number\",\"minimum\":0.5},"                                                             \
	"\"yes\":{\"type\":\"boolean\"},"                                                                              \
	"\"open\":{\"type\":\"object\"},"                                                                              \
	"\"list\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"items\":{\"type\":\"object\","                   \
	"\"required\":[\"x\"],\"properties\":{\"x\":{\"type\":\"integer\"}}}},"                                        \
	"\"many\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}}"

static void each_keyword_refuses_what_it_should_and_points_at_it(void **unused)
{
	static const struct {
		const char *document, *pointer, *rule; /* NULL: satisfied */
	} rows[] = {
		{ "{'name':'abc'}", NULL, NULL },
		{ "{}", "/name", "is required" },
		{ "{'name':null}", "/name", "must be a string" },
		{ "{'name':'a'}", "/name", "must have at least 2 characters" },
		{ "{'name':'abcde'}", "/name", "must have at most 4 characters" },
		{ "{'name':'äöüß'}", NULL, NULL },
		{ "{'name':'äöüßx'}", "/name", "must have at most 4 characters" },
		{ "{'name':'abc','nick':'x'}", "/nick", "is not a member of this form" },
		{ "{'name':'abc','a/b~c':1}", "/a~1b~0c", "is not a member of this form" },
		{ "{'name':'abc','zip':'60601'}", NULL, NULL },
		{ "{'name':'abc','zip':'606011'}", "/zip", "must match ^[0-9]{5}$" },
		{ "{'name':'abc','zip':'60601\\n'}", "/zip", "must match ^[0-9]{5}$" },
		{ "{'name':'abc','zip':'6060١'}", "/zip", "must match ^[0-9]{5}$" },
		{ "{'name':'abc','zip':60601}", "/zip", "must be a string" },
		{ "{'name':'abc','part':'abc'}", NULL, NULL },
		{ "{'name':'abc','part':'ac'}", "/part", "must match b" },
		{ "{'name':'abc','npi':'1234567893'}", NULL, NULL },
		{ "{'name':'abc','npi':'1234567890'}", "/npi",
		    "must be an NPI: 10 digits, the last one its check digit" },
		{ "{'name':'abc','day':'2024-02-29'}", NULL, NULL },
		{ "{'name':'abc','day':'1969-12-31'}", NULL, NULL },
		{ "{'name':'abc','day':'2023-02-29'}", "/day", "must be a date, as 2026-01-31" },
		{ "{'name':'abc','day':'2023-2-9'}", "/day", "must be a date, as 2026-01-31" },
		{ "{'name':'abc','day':'2023-02-09T00:00:00Z'}", "/day", "must be a date, as 2026-01-31" },
		{ "{'name':'abc','kind':'b'}", NULL, NULL },
		{ "{'name':'abc','kind':'c'}", "/kind", "must be one of ['a','b']" },
		{ "{'name':'abc','version':1}", NULL, NULL },
		{ "{'name':'abc','version':2}", "/version", "must be one of [1]" },
		{ "{'name':'abc','beds':0}", NULL, NULL },
		{ "{'name':'abc','beds':10}", NULL, NULL },
		{ "{'name':'abc','beds':3.0}", NULL, NULL },
		{ "{'name':'abc','beds':-1}", "/beds", "must be at least 0" },
		{ "{'name':'abc','beds':11}", "/beds", "must be at most 10" },
		{ "{'name':'abc','beds':1.5}", "/beds", "must be a whole number" },
		{ "{'name':'abc','beds':'1'}", "/beds", "must be a whole number" },
		{ "{'name':'abc','share':0.5}", NULL, NULL },
		{ "{'name':'abc','share':1}", NULL, NULL },
		{ "{'name':'abc','share':0.49}", "/share", "must be at least 0.5" },
		{ "{'name':'abc','yes':false}", NULL, NULL },
		{ "{'name':'abc','yes':0}", "/yes", "must be true or false" },
		{ "{'name':'abc','open':{'whatever':[1]}}", NULL, NULL },
		{ "{'name':'abc','open':[]}", "/open", "must be an object" },
		{ "{'name':'abc','list':[{'x':1},{'x':2,'y':3}]}", NULL, NULL },
		{ "{'name':'abc','list':[]}", "/list", "must have at least 1 items" },
		{ "{'name':'abc','list':[{'x':1},{'x':1},{'x':1}]}", "/list", "must have at most 2 items" },
		{ "{'name':'abc','list':[{'x':1},{}]}", "/list/1/x", "is required" },
		{ "{'name':'abc','list':[{'x':1},{'x':'1'}]}", "/list/1/x", "must be a whole number" },
		{ "{'name':'abc','list':{}}", "/list", "must be an array" },
		{ "{'name':'abc'", "", "is not JSON: line 1" },
		{ "{'name':'abc','name':'abc'}", "", "is not JSON: line 1" },
		{ "[]", "", "must be a JSON object" },
		{ "", "", "is empty" },
		{ "\xff", "", "is not UTF-8" },
	};
	struct forms *forms;

	(void)unused;
	assert_int_equal(open_schema(EVERYTHING, &forms).code, OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct form_problems problems;
		char *document = arena_strdup(arena, rows[i].document),
		     *rule = arena_strdup(arena, rows[i].rule ? rows[i].rule : "");

		for (char *c = document; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		for (char *c = rule; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		struct err e = form_check(arena, forms, "1", document, strlen(document), &problems);
		if (rows[i].pointer == NULL) {
			if (e.code != OK || problems.count != 0)
				fail_msg("%s: %s", document, problems.count > 0 ? problems.list[0].rule : e.what);
		} else if (e.code != ERR_INVALID || problems.count != 1 ||
			   strcmp(problems.list[0].pointer, rows[i].pointer) != 0 ||
			   strncmp(problems.list[0].rule, rule, strlen(rule)) != 0) {
			fail_msg("%s: %zu: %s %s", document, problems.count,
			    problems.count ? problems.list[0].pointer : "-",
			    problems.count ? problems.list[0].rule : "-");
		}
	}
	forms_close(forms);
}

static void all_problems_are_told_but_at_most_twenty(void **unused)
{
	struct form_problems problems;
	struct forms *forms;
	char many[512] = "{\"name\":\"abc\",\"many\":[\"\"";
	static const char three[] = "{\"zip\":\"1\",\"yes\":1}";

	(void)unused;
	assert_int_equal(open_schema(EVERYTHING, &forms).code, OK);
	assert_int_equal(form_check(arena, forms, "1", three, strlen(three), &problems).code, ERR_INVALID);
	assert_int_equal(problems.count, 3);
	for (int i = 0; i < 30; i++)
		memcpy(many + strlen(many), ",\"\"", 4);
	memcpy(many + strlen(many), "]}", 3);
	assert_int_equal(form_check(arena, forms, "1", many, strlen(many), &problems).code, ERR_INVALID);
	assert_int_equal(problems.count, 20);
	assert_string_equal(problems.list[19].pointer, "/many/19");
	assert_int_equal(form_check(arena, forms, "2", three, strlen(three), &problems).code, ERR_NOT_FOUND);
	assert_int_equal(form_check(arena, forms, NULL, three, strlen(three), &problems).code, ERR_NOT_FOUND);
	assert_int_equal(problems.count, 0);
	forms_close(forms);
}

/* ---- the forms that come with the gateway ---- */

static void the_installed_forms_are_understood(void **unused)
{
	static const char *const names[] = { "855A", "855B", "855I", "855O", "855S", "20134" };
	struct form_problems problems;
	struct forms *forms;

	(void)unused;
	struct err e = forms_open(arena, source("conf/forms"), &forms);
	if (e.code != OK)
		fail_msg("%s", e.what);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(form_check(arena, forms, names[i], "{}", 2, &problems).code, ERR_INVALID);
		assert_true(problems.count >= 4);
	}
	forms_close(forms);
}

/* Reads a line of LDIF with its continuations (RFC 2849). False at the end. */
static bool next_line(FILE *f, char *line, size_t room)
{
	size_t size = 0;
	int c, after = '\n';

	while ((c = getc(f)) != EOF) {
		if (c == '\n') {
			after = getc(f);
			if (after != ' ')
				break;
			continue;
		}
		if (size + 1 < room)
			line[size++] = (char)c;
	}
	if (after != EOF && c != EOF)
		ungetc(after, f);
	line[size] = '\0';
	return c != EOF || size > 0;
}

static void the_sample_records_satisfy_their_forms(void **unused)
{
	static char line[16384], form[32];
	struct form_problems problems;
	struct forms *forms;
	size_t seen = 0;
	FILE *f = fopen(source("ldif/sample.ldif"), "r");

	(void)unused;
	assert_non_null(f);
	assert_int_equal(forms_open(arena, source("conf/forms"), &forms).code, OK);
	while (next_line(f, line, sizeof line)) {
		if (strncmp(line, "scfForm: ", 9) == 0)
			snprintf(form, sizeof form, "%.31s", line + 9);
		if (strncmp(line, "scfDocument: ", 13) != 0)
			continue;
		seen++;
		if (form_check(arena, forms, form, line + 13, strlen(line + 13), &problems).code != OK)
			fail_msg("%s: %s %s: %s", form, problems.count ? problems.list[0].pointer : "",
			    problems.count ? problems.list[0].rule : "", line + 13);
	}
	assert_true(seen >= 3);
	fclose(f);
	forms_close(forms);
}

static int open_arena(void **unused)
{
	(void)unused;
	arena = arena_open();
	return 0;
}

static int close_arena(void **unused)
{
	(void)unused;
	arena_close(arena);
	return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(a_schema_that_is_not_understood_is_refused),
		TEST(a_folder_without_forms_is_refused),
		TEST(each_keyword_refuses_what_it_should_and_points_at_it),
		TEST(all_problems_are_told_but_at_most_twenty),
		TEST(the_installed_forms_are_understood),
		TEST(the_sample_records_satisfy_their_forms),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
