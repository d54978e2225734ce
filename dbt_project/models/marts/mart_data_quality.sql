-- grain: one row per raw table, reason and what was done
with rejected_rows as (select * from {{ ref('rejected_rows') }}),

days as (
    select dates.date_day, dates.week_start, coalesce(counts.active_customers, 0) as active_customers
    from {{ ref('dim_dates') }} as dates
    left join {{ ref('mart_daily_counts_by_dimension') }} as counts on dates.date_day = counts.date and counts.segment = 'all'
    where not dates.is_after_as_of
),

with_usual as (
    select
        *,
        case
            when active_customers > 0
                then avg(active_customers) over (order by date_day rows between 27 preceding and current row)
        end as usual_customers,
    from days
),

-- what was usual when somebody was last active: an outage of many days would else become the usual itself
with_usual_before as (
    select
        *,
        last_value(usual_customers ignore nulls) over (order by date_day rows between unbounded preceding and 1 preceding)
            as customers_before,
    from with_usual
),

-- a day of rest: its day of the week hardly ever had anybody in the four weeks before and after it either, and the other days had
with_rest as (
    select
        *,
        count(*) over same_weekdays >= 5
        and 4 * sum(case when active_customers > 0 then 1 else 0 end) over same_weekdays <= count(*) over same_weekdays
        and max(active_customers) over (order by date_day rows between 6 preceding and 1 preceding) > 0
        and (max(active_customers) over days_after > 0 or count(*) over days_after < 6) as is_rest,
    from with_usual_before
    window same_weekdays as (
        partition by {{ days_between('week_start', 'date_day') }}
        order by date_day
        rows between 4 preceding and 4 following
    ),
    days_after as (order by date_day rows between 1 following and 6 following)
),

-- each day that had somebody, beside the same day of the week in the four weeks before it and in the four after it
beside as (
    select
        days.date_day,
        others.date_day < days.date_day as is_before,
        others.active_customers >= {{ usual_customers_of_a_day_that_is_judged() }}
        and others.active_customers > 4 * days.active_customers as has_many_more,
    from days
    inner join days as others
        on {{ days_between('days.week_start', 'days.date_day') }} = {{ days_between('others.week_start', 'others.date_day') }}
        and abs({{ days_between('days.week_start', 'others.week_start') }}) between 7 and 28
    where days.active_customers > 0
),

-- most of the weeks of a side instead of their average: a fee for everybody on a first of the month makes no ordinary day thin
sides_with_many_more as (
    select date_day
    from beside
    group by date_day, is_before
    having 2 * sum(case when has_many_more then 1 else 0 end) > count(*)
),

-- both sides: a bank that begins, grows, dwindles or ends has one of them, and last days that are still loading have none after
days_with_few as (
    select date_day
    from sides_with_many_more
    group by date_day
    having count(*) = 2
),

-- in a bank where dozens of customers are active on any day, a day without one is a day that was not loaded
doubtful_days as (
    select date_day, 'day_without_activity' as reason
    from with_rest
    where active_customers = 0 and customers_before >= {{ customers_of_a_day_that_is_missed() }} and not is_rest
    union all
    select date_day, 'day_with_few_customers' as reason
    from days_with_few
),

-- a bank of which nothing but transactions is known
without_users as (
    select count(*) as customers
    from {{ ref('dim_customers') }}
    having count(*) > 0 and sum(case when has_user_row then 1 else 0 end) = 0
),

final as (
    select
        source_table,
        reason,
        disposition,
        count(*) as rows_affected,
        cast(sum(case when counts_row then 1 else 0 end) as {{ dbt.type_bigint() }}) as rows_counted_once,
        cast(null as {{ dbt.type_string() }}) as days,
    from rejected_rows
    group by source_table, reason, disposition
    union all
    select
        'transactions',
        reason,
        'kept',
        count(*),
        cast(0 as {{ dbt.type_bigint() }}),
        string_agg(cast(date_day as {{ dbt.type_string() }}), ', ' order by date_day),
    from doubtful_days
    group by reason
    union all
    select 'users', 'no_users', 'kept', customers, cast(0 as {{ dbt.type_bigint() }}), cast(null as {{ dbt.type_string() }})
    from without_users
)

select * from final
