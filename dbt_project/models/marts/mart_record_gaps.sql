-- grain: one row per tenure, record gap (longer than all before it; null: none up to as_of), record before it, and segment
with breaks as (select * from {{ ref('fct_breaks') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- an open gap is one day longer than the silence: it exceeds N exactly when as_of - last >= N
measured as (
    select
        breaks.customer_key,
        breaks.segment_id,
        breaks.first_active_day,
        breaks.last_active_day,
        breaks.returned_on is null as is_open,
        coalesce(breaks.gap_days, {{ days_between('breaks.last_active_day', 'publication.as_of') }} + 1) as gap_days,
        breaks.longest_gap_before_days as previous_record_days,
        publication.as_of,
    from breaks
    cross join publication
),

records as (
    select
        segment_id,
        {{ days_between('first_active_day', 'last_active_day') }} as tenure_days,
        gap_days,
        previous_record_days,
    from measured
    where gap_days > previous_record_days and gap_days > {{ shortest_window_days() }}
),

-- what is known of those who never lapse under a long window: they were followed up to as_of
ends as (
    select
        segment_id,
        {{ days_between('first_active_day', 'as_of') }} as tenure_days,
        cast(null as {{ dbt.type_int() }}) as gap_days,
        case
            when gap_days > {{ shortest_window_days() }} then greatest(gap_days, previous_record_days)
            else previous_record_days
        end as previous_record_days,
    from measured
    where is_open
),

together as (
    select * from records
    union all
    select * from ends
),

final as (
    select tenure_days, gap_days, previous_record_days, segment_id, count(*) as customers
    from together
    group by tenure_days, gap_days, previous_record_days, segment_id
)

select * from final
