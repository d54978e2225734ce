-- grain: one row per month, last active day in it, gap after it, longest gap since the month began, and segment
with breaks as (select * from {{ ref('fct_breaks') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- A customer who was active at the month's start may transact in the month and leave before it ends. The stretch reaches
-- back to the month's start exactly when no gap that ended since then exceeds N.
measured as (
    select
        {{ month_start('breaks.last_active_day') }} as month,
        breaks.last_active_day as activity_date,
        coalesce(breaks.gap_days, {{ days_between('breaks.last_active_day', 'publication.as_of') }} + 1) as gap_days,
        breaks.longest_gap_in_month_days as longest_gap_before_days,
        breaks.segment_id,
        breaks.first_active_day,
    from breaks
    cross join publication
),

final as (
    select month, activity_date, gap_days, longest_gap_before_days, segment_id, count(*) as customers
    from measured
    where first_active_day < month
        and gap_days > longest_gap_before_days
        and gap_days > {{ shortest_window_days() }}
    group by month, activity_date, gap_days, longest_gap_before_days, segment_id
)

select * from final
