//! Parameters of every kind into PostgreSQL, and columns of every type out of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use aws_sdk_rdsdata::primitives::Blob;
use aws_sdk_rdsdata::types::{
    ArrayValue, DecimalReturnType, Field, LongReturnType, RecordsFormatType, ResultSetOptions, SqlParameter,
    TypeHint,
};
use support::{CLUSTER, SECRET, hinted, long, refused, stack, string, text, value};

const ID: &str = "b9b1b0de-5a3c-4c1e-9d7f-0d1a2b3c4d5e";

#[tokio::test]
async fn parameters_and_results() {
    let stack = stack().await;

    // Kinds of value.
    let row = stack
        .row(
            "SELECT :t, :l, :d, :b, :x, :n::int",
            vec![
                text("t", "it's :l"),
                long("l", i64::MIN),
                value("d", Field::DoubleValue(1.5)),
                value("b", Field::BooleanValue(true)),
                value("x", Field::BlobValue(Blob::new(vec![0, 255]))),
                value("n", Field::IsNull(true)),
            ],
        )
        .await;
    assert_eq!(
        row,
        [
            string("it's :l"),
            Field::LongValue(i64::MIN),
            Field::DoubleValue(1.5),
            Field::BooleanValue(true),
            Field::BlobValue(Blob::new(vec![0, 255])),
            Field::IsNull(true)
        ]
    );
    let types = "SELECT pg_typeof(:t)::text, pg_typeof(:l)::text, pg_typeof(:d)::text";
    let row = stack
        .row(types, vec![text("t", ""), long("l", 1), value("d", Field::DoubleValue(f64::INFINITY))])
        .await;
    assert_eq!(row, [string("text"), string("bigint"), string("double precision")]);

    // Hints.
    for (hint, text, type_) in [
        (TypeHint::Uuid, ID, "uuid"),
        (TypeHint::Json, "{\"a\": 1}", "json"),
        (TypeHint::Timestamp, "2024-02-29 12:34:56.123", "timestamp without time zone"),
        (TypeHint::Date, "2024-02-29", "date"),
        (TypeHint::Time, "12:34:56.5", "time without time zone"),
        (TypeHint::Decimal, "12345678901234567890.0100", "numeric"),
    ] {
        let row = stack.row("SELECT :v, pg_typeof(:v)::text", vec![hinted("v", text, hint)]).await;
        assert_eq!(row, [string(text), string(type_)]);
    }
    let null = SqlParameter::builder().name("v").value(Field::IsNull(true)).type_hint(TypeHint::Uuid).build();
    assert_eq!(stack.one("SELECT pg_typeof(:v)::text", vec![null]).await, string("uuid"));
    let one_null_two_types = "SELECT :v::int, :v::uuid";
    assert_eq!(
        stack.row(one_null_two_types, vec![value("v", Field::IsNull(true))]).await,
        [Field::IsNull(true), Field::IsNull(true)]
    );

    // What the service refuses.
    assert_eq!(
        stack.sql("SELECT 1 WHERE gen_random_uuid() = :id", vec![text("id", ID)]).await.unwrap_err(),
        refused(
            "DatabaseErrorException",
            "ERROR: operator does not exist: uuid = text; Hint: No operator matches the given name and argument \
             types. You might need to add explicit type casts.; Position: 34; SQLState: 42883"
        )
    );
    let array = Field::ArrayValue(ArrayValue::LongValues(vec![Some(1)]));
    assert_eq!(
        stack.sql("SELECT :v", vec![value("v", array)]).await.unwrap_err(),
        refused("ValidationException", "Array parameters are not supported.")
    );
    assert_eq!(
        stack.sql("SELECT :v", vec![]).await.unwrap_err(),
        refused("BadRequestException", "Cannot find parameter: v")
    );
    let with_t = hinted("v", "2024-02-29T12:34:56Z", TypeHint::Timestamp);
    assert_eq!(stack.sql("SELECT :v", vec![with_t]).await.unwrap_err().0, "BadRequestException");
    assert_eq!(
        stack.sql("SELECT :v", vec![hinted("v", "nope", TypeHint::Uuid)]).await.unwrap_err(),
        refused(
            "DatabaseErrorException",
            "ERROR: invalid input syntax for type uuid: \"nope\"; SQLState: 22P02"
        )
    );
    for (sql, type_) in
        [("SELECT '1 day'::interval", "interval"), ("SELECT 'pg_class'::regclass", "regclass")]
    {
        assert_eq!(
            stack.sql(sql, vec![]).await.unwrap_err(),
            refused(
                "UnsupportedResultException",
                &format!("The result contains the unsupported data type {type_}.")
            )
        );
    }

    // Columns.
    stack.sql("CREATE TYPE mood AS ENUM ('sad', 'glad')", vec![]).await.unwrap();
    for (sql, field) in [
        ("1::int2", Field::LongValue(1)),
        ("-1::int4", Field::LongValue(-1)),
        ("1.1::float4", Field::DoubleValue(1.1)),
        ("0.0::numeric", string("0.0")),
        ("12345.6700::numeric(20,4)", string("12345.6700")),
        ("-0.000012::numeric", string("-0.000012")),
        ("1e20::numeric", string("100000000000000000000")),
        ("1.5e-7::numeric", string("0.00000015")),
        ("10000.0001::numeric", string("10000.0001")),
        ("'NaN'::numeric", string("NaN")),
        ("'ab'::char(4)", string("ab  ")),
        ("'2024-01-01 00:00:00'::timestamp", string("2024-01-01 00:00:00")),
        ("'1969-12-31 23:59:59.999999'::timestamp", string("1969-12-31 23:59:59.999999")),
        ("'2024-01-01 00:30:00.120+02'::timestamptz", string("2023-12-31 22:30:00.12")),
        ("'infinity'::timestamptz", string("infinity")),
        ("'1970-01-01'::date", string("1970-01-01")),
        ("'23:59:59.25'::time", string("23:59:59.25")),
        ("'{\"a\":[1]}'::json", string("{\"a\":[1]}")),
        ("'{\"a\":[1]}'::jsonb", string("{\"a\": [1]}")),
        ("'glad'::mood", string("glad")),
        ("'10.0.0.1'::inet", string("10.0.0.1")),
        ("'10.0.0.0/8'::cidr", string("10.0.0.0/8")),
        ("'::1/128'::cidr", string("::1/128")),
        ("'x'::name", string("x")),
        ("ARRAY[1, NULL]", Field::ArrayValue(ArrayValue::LongValues(vec![Some(1), None]))),
        ("'{}'::text[]", Field::ArrayValue(ArrayValue::StringValues(vec![]))),
        ("ARRAY[true]", Field::ArrayValue(ArrayValue::BooleanValues(vec![Some(true)]))),
        ("ARRAY[0.5::float8]", Field::ArrayValue(ArrayValue::DoubleValues(vec![Some(0.5)]))),
        (
            "ARRAY['a,b', 'c']",
            Field::ArrayValue(ArrayValue::StringValues(vec![Some("a,b".into()), Some("c".into())])),
        ),
    ] {
        assert_eq!(stack.one(&format!("SELECT {sql}"), vec![]).await, field, "{sql}");
    }
    assert_eq!(stack.sql("SELECT ARRAY[[1],[2]]", vec![]).await.unwrap_err().0, "UnsupportedResultException");

    // The shape of results.
    let call = || stack.client.execute_statement().resource_arn(CLUSTER).secret_arn(SECRET);
    let options = ResultSetOptions::builder()
        .decimal_return_type(DecimalReturnType::DoubleOrLong)
        .long_return_type(LongReturnType::String)
        .build();
    let typed = call().sql("SELECT 1.50, 2::numeric, 3").result_set_options(options).send().await.unwrap();
    assert_eq!(typed.records()[0], [Field::DoubleValue(1.5), Field::LongValue(2), string("3")]);

    let sql = "SELECT 1 AS b, 1.50 AS a, NULL AS n, 'é\"' AS s, ARRAY[1,2] AS xs, 2.0::float8 AS d, '\\x00'::bytea AS y";
    let json = call().sql(sql).format_records_as(RecordsFormatType::Json).include_result_metadata(true);
    let json = json.send().await.unwrap();
    assert_eq!(
        json.formatted_records(),
        Some(r#"[{"b":1,"a":"1.50","n":null,"s":"é\"","xs":[1,2],"d":2.0,"y":"AA=="}]"#)
    );
    assert!(json.records.is_none() && json.column_metadata.is_none());
    let twice = call().sql("SELECT 1 AS a, 2 AS a").format_records_as(RecordsFormatType::Json).send().await;
    assert_eq!(support::refusal(twice.unwrap_err()).0, "BadRequestException");

    let described = call().sql("SELECT 1.5::numeric(10,2) AS price, ARRAY['a'] AS names");
    let described = described.include_result_metadata(true).send().await.unwrap();
    let columns = described.column_metadata();
    assert_eq!((columns[0].name(), columns[0].type_name()), (Some("price"), Some("numeric")));
    assert_eq!((columns[0].precision(), columns[0].scale(), columns[0].r#type()), (10, 2, 2));
    assert_eq!((columns[1].type_name(), columns[1].array_base_column_type()), (Some("_text"), 12));

    stack.sql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())", vec![]).await.unwrap();
    let inserted =
        stack.sql("INSERT INTO t (id) SELECT generate_series(1, :n)", vec![long("n", 3)]).await.unwrap();
    assert_eq!((inserted.number_of_records_updated(), inserted.records.is_none()), (3, true));
    assert_eq!(inserted.generated_fields, Some(vec![]));
    let empty = stack.sql("SELECT id FROM t WHERE false", vec![]).await.unwrap();
    assert_eq!((empty.number_of_records_updated(), empty.records), (0, Some(vec![])));
    assert_eq!(
        stack.one("DELETE FROM t WHERE id = :id RETURNING id", vec![long("id", 2)]).await,
        Field::LongValue(2)
    );
}
