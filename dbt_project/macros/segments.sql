{# The dimensions by which every customer figure can be cut; never null, a missing value is 'unknown'. #}
{% macro dimensions() %}{{ return(['country', 'plan', 'plan_tier', 'os', 'age_band', 'signup_cohort']) }}{% endmacro %}

{% macro dimension_columns(relation_alias='') -%}
    {% for dimension in neopulse.dimensions() %}{{ relation_alias ~ '.' if relation_alias }}{{ dimension }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# `segment` and `segment_value` of a query that groups by segment_sets(). #}
{% macro segment_columns() %}
    case
        {%- for dimension in neopulse.dimensions() %}
        when grouping({{ dimension }}) = 0 then '{{ dimension }}'
        {%- endfor %}
        else 'all'
    end as segment,
    coalesce({{ neopulse.dimension_columns() }}, 'all') as segment_value
{%- endmacro %}

{# Group by the keys, once over everybody and once by each dimension. #}
{% macro segment_sets(keys) -%}
    grouping sets (
        ({{ keys | join(', ') }})
        {%- for dimension in neopulse.dimensions() %},
        ({{ (keys + [dimension]) | join(', ') }})
        {%- endfor %}
    )
{%- endmacro %}

{# One number for a combination of dimensions, the same in every build and on both engines. Each value has its length before it: whatever the
   bank writes into a country or a plan, no two combinations are one text. #}
{% macro segment_id() -%}
    {%- set parts = [] -%}
    {%- for dimension in neopulse.dimensions() -%}
        {%- do parts.append('cast(length(' ~ dimension ~ ') as ' ~ dbt.type_string() ~ "), '|', " ~ dimension) -%}
    {%- endfor -%}
    {{ neopulse.text_number('concat(' ~ parts | join(', ') ~ ')') }}
{%- endmacro %}

{# Age at account opening, so that no birthday moves a past figure. #}
{% macro age_band(age) -%}
    case
        when {{ age }} is null or {{ age }} < 0 or {{ age }} > 120 then 'unknown'
        when {{ age }} < 18 then 'under 18'
        when {{ age }} < 25 then '18-24'
        when {{ age }} < 35 then '25-34'
        when {{ age }} < 45 then '35-44'
        when {{ age }} < 55 then '45-54'
        when {{ age }} < 65 then '55-64'
        else '65+'
    end
{%- endmacro %}

{# One row per segment value and day, from the first day that `by_day` has for it to as_of. #}
{% macro every_day_of_each_segment(by_day) %}
    select segments.segment, segments.segment_value, dates.date_day as date
    from (
        select segment, segment_value, min(date) as first_date
        from {{ by_day }}
        group by segment, segment_value
    ) as segments
    inner join {{ ref('dim_dates') }} as dates on dates.date_day >= segments.first_date and not dates.is_after_as_of
{% endmacro %}
